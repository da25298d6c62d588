// One machine, from a blank network boot through what a node does while it runs, to its next boot.
// The tests follow each other on the same machine.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Task } from '#shared/schema/task.ts';
import { createNode, type LabNode, shellOf, switchOn, untilInstance } from '../../lab/node.ts';
import { BOOT_MS, CHANGE_MS, type PoweredMachine } from '../../lab/power.ts';
import type { Shell } from '../../lab/shell.ts';
import { makeVariant } from '../../lab/variants.ts';
import { assertVerified, openStage, type Stage } from './machine-fixture.ts';

const MOTD = '/usr/share/billet/tools/motd';

let stage: Stage;
let node: LabNode;
let machine: PoweredMachine;
let shell: Shell;

before(
  async () => {
    stage = await openStage();
    node = await createNode(stage.fleet, 'boot-1', ['base:stable', 'tools:stable', 'web:stable']);
  },
  { timeout: 600_000 },
);

after(() => stage?.close());

const page = async () => await (await fetch(node.pageUrl)).text();
const task = async (...args: string[]) =>
  Task.parse(await stage.fleet.billet('task', 'create', ...args, '--wait'));
const nginx = async () =>
  (await shell.must('systemctl show --value -p MainPID billet-web-nginx.service')).trim();

/** Publishes another release of the web module and makes the node want it. */
async function release(
  label: Record<string, unknown>,
  files?: Record<string, string>,
): Promise<void> {
  const { artifacts, dir, signal, fleet } = stage;
  const image = await makeVariant(
    fleet.billet,
    {
      module: 'web',
      layer: artifacts.layers.web,
      label,
      key: artifacts.keys.privateKey,
      ...(files ? { files } : {}),
    },
    dir,
    signal,
  );
  await fleet.billet('module', 'push', image, `web:${label.version}`);
  await fleet.billet('node', 'set', node.name, '--module', `web:${label.version}`);
}

const converged = async (version: string) =>
  await untilInstance(
    stage.fleet,
    node,
    `running web ${version}`,
    ({ generation, heartbeat, confirmed }) =>
      confirmed === generation &&
      heartbeat?.phase === 'ready' &&
      heartbeat.modules?.some(
        (module) =>
          module.name === 'web' && module.version === version && module.state === 'attached',
      ) === true,
    CHANGE_MS,
  );

test('a blank machine boots over the network and becomes a running member of the fleet', {
  timeout: BOOT_MS,
}, async () => {
  machine = stage.keep(
    await switchOn(stage.fleet, stage.artifacts, node, {
      boot: 'network',
      dir: stage.dir,
      signal: stage.signal,
    }),
  );
  const ready = await machine.waitFor('ready', { timeoutMs: BOOT_MS - 10_000 });
  process.stderr.write(`# ready after ${ready.atSeconds.toFixed(1)} s\n`);
  const instance = await converged('1.0.0');
  assert.equal(instance.state, 'running');
  assert.equal(instance.facts?.dmi.uuid?.toLowerCase(), node.uuid);
  assert.deepEqual(instance.facts?.macs, [node.mac]);
  assert.ok(instance.heartbeat?.conditions.some(({ code }) => code === 'BOOT_UNVERIFIED'));
  assert.match(await page(), /verified/);
});

test('the root is composefs with verity=require, and no layer above it can be written', {
  timeout: BOOT_MS,
}, async () => {
  await assertVerified(machine);
  shell = await shellOf(machine);
  const service = (
    await shell.must('findmnt -rno TARGET,OPTIONS | grep /run/billet/services/')
  ).trim();
  assert.match(service, /verity=require/);
  assert.notEqual((await shell.run('touch /usr/x')).code, 0);
  const secrets = await shell.must('stat -c %a /run/billet /run/billet/data/state/*key* | sort -u');
  assert.deepEqual(secrets.trim().split('\n'), ['600', '700']);
});

test('a sealed object cannot be written, and a byte flipped under it is an I/O error', {
  timeout: BOOT_MS,
}, async () => {
  const object = (
    await shell.must(`grep -rl "member of a fleet" /run/billet/data/store/objects | head -1`)
  ).trim();
  const write = await shell.run(`echo x >> ${object}`);
  assert.notEqual(write.code, 0);
  assert.match(write.output, /Operation not permitted|Permission denied/);
  const block = (
    await shell.must(
      `filefrag -v -b4096 ${object} | awk '$1 == "0:" { sub(/\\.\\..*/, "", $4); print $4 }'`,
    )
  ).trim();
  assert.match(block, /^\d+$/);
  const flip = (byte: string) =>
    `printf '${byte}' | dd of=/dev/ram0 bs=1 seek=$((${block} * 4096 + 5)) conv=notrunc status=none && sync && echo 3 > /proc/sys/vm/drop_caches`;
  const before = (await shell.must(`dd if=${object} bs=1 skip=5 count=1 status=none`)).slice(-1);
  await shell.must(flip('#'));
  const read = await shell.run(`cat ${MOTD}`);
  assert.notEqual(read.code, 0);
  assert.match(read.output, /Input\/output error/);
  await shell.must(flip(before));
  assert.match(await shell.must(`cat ${MOTD}`), /member of a fleet/);
});

test('an agent that is killed comes back, and the service does not notice', {
  timeout: CHANGE_MS,
}, async () => {
  const [before, agent] = [
    await nginx(),
    (await shell.must('systemctl show --value -p MainPID billet-agent')).trim(),
  ];
  const from = machine.sightings.length;
  await shell.must(`kill -9 ${agent}`);
  await machine.waitFor('ready', { timeoutMs: CHANGE_MS - 5000, from });
  assert.equal(await nginx(), before);
  assert.match(await page(), /verified/);
});

test('tasks are leased, run on the node and reported', { timeout: CHANGE_MS }, async () => {
  const logs = await task('collect-logs', node.name, '--unit', 'billet-agent.service');
  assert.equal(logs.state, 'succeeded');
  assert.match(logs.result?.output ?? '', /billet-agent/);
  const good = await task(
    'run-probe',
    node.name,
    '--url',
    'http://127.0.0.1:8080/',
    '--contains',
    'verified',
  );
  assert.equal(good.state, 'succeeded');
});

test('a new release replaces the old one, and a changed label attaches the same image again', {
  timeout: 2 * CHANGE_MS,
}, async () => {
  await release({ version: '1.1.0', sequence: 2 }, { 'srv/web/index.html': 'second, verified\n' });
  const second = await converged('1.1.0');
  assert.match(await page(), /^second/);
  const pid = await nginx();
  await release(
    { version: '1.1.1', sequence: 3, description: 'the same files' },
    { 'srv/web/index.html': 'second, verified\n' },
  );
  const third = await converged('1.1.1');
  const image = (instance: typeof third) =>
    instance.heartbeat?.modules?.find(({ name }) => name === 'web')?.image;
  assert.equal(image(third), image(second));
  assert.notEqual(await nginx(), pid);
});

test('a release whose probe fails is rejected, and the good one serves on', {
  timeout: 2 * CHANGE_MS,
}, async () => {
  await release({ version: '1.2.0', sequence: 4 }, { 'srv/web/index.html': 'no such text\n' });
  const { rejected } = await untilInstance(
    stage.fleet,
    node,
    'rejecting the release',
    (now) => now.rejected.length > 0,
    2 * CHANGE_MS - 5000,
  );
  assert.match(rejected[0]?.reason ?? '', /page/);
  await untilInstance(
    stage.fleet,
    node,
    'back on 1.1.1',
    ({ heartbeat }) =>
      heartbeat?.modules?.some(
        ({ name, version, state }) => name === 'web' && version === '1.1.1' && state === 'attached',
      ) === true,
    CHANGE_MS,
  );
  assert.match(await page(), /^second/);
});

test('a module that is taken away is detached, with its mount', {
  timeout: CHANGE_MS,
}, async () => {
  await stage.fleet.billet('node', 'set', node.name, '--remove-module', 'web');
  await untilInstance(
    stage.fleet,
    node,
    'without web',
    ({ heartbeat, generation, confirmed }) =>
      confirmed === generation && heartbeat?.modules?.every(({ name }) => name !== 'web') === true,
    CHANGE_MS - 5000,
  );
  await assert.rejects(page());
  assert.equal(
    (await shell.run('systemctl is-active billet-web-nginx.service')).output.trim(),
    'inactive',
  );
  assert.notEqual((await shell.run('grep /run/billet/services/ /proc/mounts')).code, 0);
});

test('a reboot is done when another boot id is seen, and the node comes back over the network', {
  timeout: 2 * BOOT_MS,
}, async () => {
  const before = (await stage.fleet.instance(node.instance)).heartbeat?.bootId;
  const from = machine.sightings.length;
  shell.close();
  const done = await task('reboot', node.name, '--timeout', String(BOOT_MS / 1000));
  assert.equal(done.state, 'succeeded');
  const after = await untilInstance(
    stage.fleet,
    node,
    'ready again',
    ({ heartbeat, state }) => state === 'running' && heartbeat?.phase === 'ready',
    BOOT_MS,
  );
  assert.ok(machine.sightings.slice(from).some(({ marker }) => marker.stage === 'boot-start'));
  assert.notEqual(after.heartbeat?.bootId, before);
  await assertVerified(machine);
});
