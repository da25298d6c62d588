// One machine that meets the faults of its surroundings: the registry goes away in mid-layer, the
// coordinator is killed in mid-boot, and later its store is full. Loops over every point of each of
// these run without machines: test/pull/, test/coordinator/coordinator-kill.peer.ts, test/store/.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  createNode,
  type LabNode,
  shellOf,
  switchOn,
  tokenIdentity,
  untilInstance,
} from '../../lab/node.ts';
import { BOOT_MS, CHANGE_MS, freePort, type PoweredMachine } from '../../lab/power.ts';
import { makeVariant } from '../../lab/variants.ts';
import { type Line, openLine, startProcessFleet } from './faults-fixture.ts';
import { assertVerified, openStage, type Stage } from './machine-fixture.ts';

const MiB = 1024 * 1024;

let stage: Stage;
let line: Line;
let node: LabNode;
let machine: PoweredMachine;

before(
  async () => {
    const httpsPort = await freePort();
    line = await openLine(httpsPort);
    stage = await openStage({ start: startProcessFleet, httpsPort, guestPort: line.port });
    node = await createNode(stage.fleet, 'faults-1', ['base:stable']);
  },
  { timeout: 600_000 },
);
after(async () => {
  await stage?.close();
  line?.close();
});

const progress = () =>
  machine.sightings
    .filter(({ marker }) => marker.stage === 'pull-progress')
    .map(({ marker: { fields } }) => ({ done: Number(fields.done), total: Number(fields.total) }));

test('the registry goes away in mid-layer, and the coordinator is killed in mid-boot: the layer goes on where it was', {
  timeout: 2 * BOOT_MS,
}, async () => {
  machine = stage.keep(
    await switchOn(stage.fleet, stage.artifacts, node, {
      boot: 'direct',
      identity: await tokenIdentity(stage.fleet, node),
      dir: stage.dir,
      signal: stage.signal,
    }),
  );
  await line.cutAfter(20 * MiB);
  assert.ok(progress().length > 0, 'it was in the middle of a layer');
  await delay(3000);
  line.mend();
  await machine.waitFor(
    ({ stage: at, fields }) =>
      at === 'pull-progress' && Number(fields.done) > 0.6 * Number(fields.total),
    { timeoutMs: BOOT_MS / 2 },
  );
  await stage.restart();
  await machine.waitFor('ready', { timeoutMs: BOOT_MS - 60_000 });
  const instance = await untilInstance(
    stage.fleet,
    node,
    'running, and its generation good',
    ({ state, generation, confirmed }) => state === 'running' && confirmed === generation,
    30_000,
  );
  // It never began anew, which its console shows, and next to nothing came twice.
  const steps = progress();
  const total = steps.at(-1)?.total ?? 0;
  assert.deepEqual(
    steps.map(({ done }) => done),
    steps.map(({ done }) => done).sort((a, b) => a - b),
  );
  assert.ok(!machine.sightings.some(({ marker }) => marker.failure && marker.stage === 'mounted'));
  assert.ok(total > 50 * MiB && line.bytes < 1.25 * total, `${line.bytes} bytes for ${total}`);
  process.stderr.write(`# ${line.bytes} bytes on the line for ${total} of the layer\n`);
  assert.equal(instance.rejected.length, 0);
  await assertVerified(machine);
});

test('a store that is full says so, keeps what runs, and takes a smaller release by itself', {
  timeout: 2 * CHANGE_MS,
}, async () => {
  const { artifacts, dir, signal, fleet } = stage;
  const shell = await shellOf(machine);
  // Another program takes all of what the store lies on but 128 MiB, half of which is the reserve that
  // no pull may take.
  await shell.must(
    'cd /run/billet/data && fallocate -l $(( $(stat -f -c "%a * %S" .) - 128 * 1024 * 1024 )) taken',
  );
  const image = await makeVariant(
    fleet.billet,
    {
      module: 'web',
      layer: artifacts.layers.web,
      label: { version: '9.0.0', sequence: 9 },
      files: { 'srv/web/large': randomBytes(60 * MiB).toString('base64') },
      key: artifacts.keys.privateKey,
    },
    dir,
    signal,
  );
  await fleet.billet('module', 'push', image, 'web:large');
  await fleet.billet('node', 'set', node.name, '--module', 'web:large');
  const full = await untilInstance(
    fleet,
    node,
    'told that its store is full',
    ({ heartbeat }) => heartbeat?.conditions.some(({ code }) => code === 'STORE_FULL') === true,
    CHANGE_MS,
  );
  const condition = full.heartbeat?.conditions.find(({ code }) => code === 'STORE_FULL');
  assert.ok((condition?.hint.length ?? 0) > 10);
  assert.deepEqual([full.state, full.rejected.length], ['running', 0]);

  // Nobody touches the node or frees space: what is wanted now fits.
  await fleet.billet('node', 'set', node.name, '--module', 'web:stable');
  const done = await untilInstance(
    fleet,
    node,
    'running the smaller release',
    ({ generation, confirmed, heartbeat }) =>
      confirmed === generation &&
      heartbeat?.modules?.some(({ name, state }) => name === 'web' && state === 'attached') ===
        true,
    CHANGE_MS,
  );
  assert.ok(!done.heartbeat?.conditions.some(({ code }) => code === 'STORE_FULL'));
  assert.match(await (await fetch(node.pageUrl)).text(), /verified/);
  // And what the large one left half done is gone: the space is there again, but for the small one.
  const left = Number(await shell.must('stat -f -c %a /run/billet/data')) * 4096;
  assert.ok(left > 64 * MiB, `${left} bytes left`);
  shell.close();
});
