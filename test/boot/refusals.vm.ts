// What a machine does when it must not go on, or cannot yet: it says why on its console, tries again,
// and goes on by itself once the reason is gone.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  createNode,
  type LabNode,
  switchOn,
  tokenIdentity,
  untilInstance,
} from '../../lab/node.ts';
import { BOOT_MS, type PoweredMachine } from '../../lab/power.ts';
import { makeVariant } from '../../lab/variants.ts';
import { assertVerified, openStage, type Stage } from './machine-fixture.ts';

const REFUSAL_MS = 240_000;

let stage: Stage;

before(
  async () => {
    stage = await openStage();
  },
  { timeout: 600_000 },
);
after(() => stage?.close());

const boot = async (node: LabNode, identity: Record<string, string>): Promise<PoweredMachine> =>
  stage.keep(
    await switchOn(stage.fleet, stage.artifacts, node, {
      boot: 'direct',
      identity,
      dir: stage.dir,
      signal: stage.signal,
    }),
  );

const failure = async (machine: PoweredMachine, code: string) =>
  await machine.waitFor((marker) => marker.failure && marker.fields.code === code, {
    timeoutMs: REFUSAL_MS,
  });

test('a coordinator that shows another CA than the pinned one gets nothing, and the token is not spent', {
  timeout: BOOT_MS,
}, async () => {
  const node = await createNode(stage.fleet, 'pin-1', ['base:stable']);
  const identity = await tokenIdentity(stage.fleet, node);
  const machine = await boot(node, { ...identity, ca: `sha256:${'0'.repeat(64)}` });
  const seen = await failure(machine, 'CA_PIN_MISMATCH');
  assert.notEqual(seen.marker.fields.hint ?? '', '');
  await machine.machine.cut();
  assert.ok(
    !machine.sightings.some(({ marker }) => marker.stage === 'enrolled' && !marker.failure),
  );
  const tokens = (await stage.fleet.billet('token', 'list', '--instance', node.instance)) as {
    state: string;
  }[];
  assert.ok(tokens.some(({ state }) => state === 'open'));
  assert.ok(tokens.every(({ state }) => state !== 'used'));
});

test('a module by another key is refused before it is unpacked; signed well, the node goes on; so it does when the coordinator was away', {
  timeout: 2 * BOOT_MS,
}, async () => {
  const { artifacts, dir, signal } = stage;
  const foreign = join(dir, 'foreign');
  await stage.fleet.billet('module', 'keygen', foreign);
  const variant = {
    module: 'tools',
    layer: artifacts.layers.tools,
    label: { version: '2.0.0', sequence: 9 },
  } as const;
  const image = await makeVariant(
    stage.fleet.billet,
    { ...variant, key: `${foreign}.key` },
    dir,
    signal,
  );
  await stage.fleet.billet('module', 'push', image, 'tools:foreign');
  const node = await createNode(stage.fleet, 'refuse-1', ['base:stable', 'tools:foreign']);
  const identity = await tokenIdentity(stage.fleet, node);
  let machine: PoweredMachine | undefined;

  await stage.restart({
    whileStopped: async () => {
      machine = await boot(node, identity);
      await failure(machine, 'LINK_DOWN');
    },
  });
  assert.ok(machine);
  const refused = await failure(machine, 'SIGNATURE_INVALID');
  assert.match(refused.marker.fields.message ?? '', /tools|sha256/);
  assert.ok(!machine.sightings.some(({ marker }) => marker.stage === 'mounted' && !marker.failure));

  // The operator signs the same bytes; nobody touches the node.
  await stage.fleet.billet(
    'module',
    'sign',
    image,
    '--key',
    artifacts.keys.privateKey,
    '--identity',
    'tools',
  );
  await stage.fleet.billet('module', 'push', image, 'tools:foreign');
  await machine.waitFor('ready', { timeoutMs: BOOT_MS });
  const running = await untilInstance(
    stage.fleet,
    node,
    'running',
    ({ state }) => state === 'running',
    30_000,
  );
  assert.equal(running.heartbeat?.modules?.find(({ name }) => name === 'tools')?.version, '2.0.0');
  await assertVerified(machine);
});
