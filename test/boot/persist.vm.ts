// A machine with a disk for its store, told who it is by fw_cfg: power cuts, warm boots, system
// modules that are taken up at the next boot, and one that has to be given up.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Instance } from '#shared/schema/records.ts';
import {
  createNode,
  type LabNode,
  shellOf,
  switchOn,
  tokenIdentity,
  untilInstance,
} from '../../lab/node.ts';
import { BOOT_MS, CHANGE_MS, type PoweredMachine } from '../../lab/power.ts';
import { makeVariant } from '../../lab/variants.ts';
import { run } from '../../setup/build/drivers/run.ts';
import { assertVerified, openStage, type Stage } from './machine-fixture.ts';

let stage: Stage;
let node: LabNode;
let disk: string;
let machine: PoweredMachine;
let firstGood: Instance;

before(
  async () => {
    stage = await openStage();
    node = await createNode(stage.fleet, 'persist-1', ['base:stable', 'tools:stable']);
    disk = join(stage.dir, 'persist.raw');
    await run(['truncate', '-s', '2G', disk], stage);
    await run(
      ['mkfs.ext4', '-q', '-L', 'billet-persist', '-O', 'verity', '-b', '4096', disk],
      stage,
    );
  },
  { timeout: 600_000 },
);
after(() => stage?.close());

async function boot(identity: Record<string, string>): Promise<PoweredMachine> {
  machine = stage.keep(
    await switchOn(stage.fleet, stage.artifacts, node, {
      boot: 'direct',
      identity,
      disks: [{ path: disk, format: 'raw', serial: 'persist0' }],
      dir: stage.dir,
      signal: stage.signal,
    }),
  );
  return machine;
}

/** Who it is, without a token: the surviving key has to do. */
async function identityOnly(): Promise<Record<string, string>> {
  const { token: _, ...rest } = await tokenIdentity(stage.fleet, node);
  return rest;
}

const ready = (what: string, wanted: (instance: Instance) => boolean = () => true) =>
  untilInstance(
    stage.fleet,
    node,
    what,
    (now) => now.state === 'running' && now.heartbeat?.phase === 'ready' && wanted(now),
    BOOT_MS,
  );

async function releaseTools(
  label: Record<string, unknown>,
  files: Record<string, string>,
): Promise<void> {
  const { artifacts, dir, signal, fleet } = stage;
  const image = await makeVariant(
    fleet.billet,
    {
      module: 'tools',
      layer: artifacts.layers.tools,
      label,
      files,
      key: artifacts.keys.privateKey,
    },
    dir,
    signal,
  );
  await fleet.billet('module', 'push', image, `tools:${label.version}`);
  await fleet.billet('node', 'set', node.name, '--module', `tools:${label.version}`);
}

test('power is cut in the middle of the first pull, and the next boot ends where it should', {
  timeout: 2 * BOOT_MS,
}, async () => {
  const identity = await tokenIdentity(stage.fleet, node);
  await boot(identity);
  await machine.waitFor(
    ({ stage, fields }) =>
      stage === 'pull-progress' && Number(fields.done) > Number(fields.total) / 2,
    { timeoutMs: BOOT_MS },
  );
  await machine.machine.cut();

  // The key is on the disk, so the token that the first boot used is of no more use than it needs.
  await boot(await identityOnly());
  await machine.waitFor('ready', { timeoutMs: BOOT_MS });
  firstGood = await ready(
    'running after the cut',
    ({ generation, confirmed }) => generation === confirmed,
  );
  await assertVerified(machine);
  assert.equal(
    machine.sightings.find(({ marker }) => marker.stage === 'store-ready')?.marker.fields.data,
    'persist',
  );
});

test('a change of a system module is staged, and says so, while the node runs on', {
  timeout: CHANGE_MS,
}, async () => {
  await releaseTools(
    { version: '1.1.0', sequence: 2 },
    {
      'usr/share/billet/tools/motd':
        'second message of the day, longer than what is kept inline in an image\n',
    },
  );
  const staged = await untilInstance(
    stage.fleet,
    node,
    'staged',
    ({ heartbeat, generation }) => heartbeat?.staged === generation,
    CHANGE_MS - 5000,
  );
  assert.equal(staged.heartbeat?.systemImage, firstGood.heartbeat?.systemImage);
  assert.ok(staged.heartbeat?.conditions.some(({ code }) => code === 'REBOOT_PENDING'));
});

test('the next boot takes it up, and pulls nothing', { timeout: BOOT_MS }, async () => {
  await machine.machine.cut();
  await boot(await identityOnly());
  const { atSeconds } = await machine.waitFor('ready', { timeoutMs: BOOT_MS });
  process.stderr.write(`# warm boot, ready after ${atSeconds.toFixed(1)} s\n`);
  const pulled = machine.sightings.find(({ marker }) => marker.stage === 'pulled');
  assert.equal(pulled?.marker.fields.bytes, '0');
  const now = await ready('good', ({ generation, confirmed }) => generation === confirmed);
  assert.notEqual(now.heartbeat?.systemImage, firstGood.heartbeat?.systemImage);
  const shell = await shellOf(machine);
  assert.match(await shell.must('cat /usr/share/billet/tools/motd'), /^second message/m);
  shell.close();
  await assertVerified(machine);
});

test('without a coordinator the node boots what it has', { timeout: BOOT_MS }, async () => {
  const identity = await identityOnly();
  await machine.machine.cut();
  await stage.restart({
    whileStopped: async () => {
      await boot(identity);
      await machine.waitFor('agent-start', { timeoutMs: BOOT_MS - 60_000 });
      assert.equal(
        machine.sightings.find(({ marker }) => marker.stage === 'desired' && !marker.failure)
          ?.marker.fields.offline,
        'true',
      );
    },
  });
  await ready('seen again by the coordinator', ({ connected }) => connected);
  await assertVerified(machine);
});

test('a system whose probe fails is given up, and the last good one comes back by itself', {
  timeout: 2 * BOOT_MS,
}, async () => {
  const good = await stage.fleet.instance(node.instance);
  await releaseTools(
    {
      version: '1.2.0',
      sequence: 3,
      probes: [{ kind: 'unit', name: 'missing', unit: 'no-such.service', timeoutSeconds: 3 }],
    },
    {
      'usr/share/billet/tools/motd': 'third message of the day, which no node will keep for long\n',
    },
  );
  await untilInstance(
    stage.fleet,
    node,
    'staged',
    ({ heartbeat, generation }) => heartbeat?.staged === generation,
    CHANGE_MS,
  );
  await machine.machine.cut();
  await boot(await identityOnly());
  const { rejected } = await untilInstance(
    stage.fleet,
    node,
    'rejecting it',
    (now) => now.rejected.length > 0,
    BOOT_MS,
  );
  assert.match(rejected[0]?.reason ?? '', /no-such\.service|missing/);
  const back = await untilInstance(
    stage.fleet,
    node,
    'back',
    ({ heartbeat }) =>
      heartbeat?.systemImage === good.heartbeat?.systemImage && heartbeat?.phase === 'ready',
    BOOT_MS,
  );
  assert.equal(back.state, 'running');
  await assertVerified(machine);
});
