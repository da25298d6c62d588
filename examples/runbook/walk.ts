// The life of two nodes, walked with real machines: every step is a command that works by
// hand, and is over when what it promises was seen.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { Instance } from '#shared/schema/records.ts';
import { Signal } from '#shared/schema/signal.ts';
import type { Artifacts } from '../../lab/artifacts.ts';
import type { Fleet } from '../../lab/fleet.ts';
import { makeVariant } from '../../lab/variants.ts';
import { type Step, stepper, type View } from '../demo/view.ts';

export interface Walk {
  readonly fleet: Fleet;
  readonly artifacts: Artifacts;
  /** Scratch. */
  readonly dir: string;
  readonly view: View;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const FLEET = join(import.meta.dirname, 'fleet');
const NODES = ['edge-1', 'edge-2'] as const;
const [FIRST, SECOND] = NODES;
/** Two machines share two processors, emulated. */
const BOOT_SECONDS = '900';
const LOOK_MS = 1_000;

export async function walk(scene: Walk): Promise<void> {
  const { view, clock } = scene;
  const step = stepper(view, clock);
  view.heading('1. Records: from documents');
  await applied(scene, step);
  view.heading('2. Provision: two machines at once');
  const instances = await provisioned(scene, step);
  view.heading('3. Trouble: a release that nobody signed');
  await brokenAndMended(scene, step);
  view.heading('4. Drain');
  await drained(scene, step);
  view.heading('5. Terminate, and nothing is left');
  await ended(scene, step, instances);
}

/** As a person types it; the parsed output. */
async function billet({ fleet, view }: Walk, ...args: readonly string[]): Promise<unknown> {
  view.live(`billet ${args.join(' ')}`);
  return await fleet.billet(...args);
}

/** Looks until it is so. */
async function seen<T>(
  { clock, signal }: Walk,
  what: string,
  seconds: number,
  look: () => Promise<T | null>,
): Promise<T> {
  const end = clock.monotonic() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (clock.monotonic() > end) assert.fail(`not seen in ${seconds} s: ${what}`);
    await clock.sleep(LOOK_MS, signal);
  }
}

async function applied(scene: Walk, step: Step): Promise<void> {
  const plan = z.object({ steps: z.array(z.unknown()) });
  await billet(scene, 'apply', '-f', FLEET, '--dry-run');
  assert.deepEqual(await billet(scene, 'node', 'list'), [], 'a dry run makes nothing');
  step('billet apply --dry-run', 'the plan; nothing is made');
  await billet(scene, 'apply', '-f', FLEET, '--set', 'edge');
  step('billet apply', 'records of two nodes');
  const again = await billet(scene, 'apply', '-f', FLEET, '--set', 'edge');
  assert.deepEqual(plan.parse(again).steps, []);
  step('billet apply, again', 'changes nothing');
}

async function provisioned(scene: Walk, step: Step): Promise<readonly Instance[]> {
  const flags = ['--wait', '--timeout', BOOT_SECONDS];
  const made = z
    .array(Instance)
    .parse(await billet(scene, 'instance', 'provision', ...NODES, ...flags));
  for (const one of made) {
    assert.deepEqual([one.state, one.heartbeat?.phase], ['running', 'ready']);
    assert.equal(one.facts?.dmi.uuid?.toLowerCase(), one.machine?.uuid, 'its own machine');
  }
  const ways = made.map(({ machine }) => machine?.shape.boot);
  assert.deepEqual(ways, ['direct', 'network']);
  step('billet instance provision', `2 running: ${ways.join(' and ')}`);
  const refused = await scene.fleet.billet('instance', 'provision', FIRST).then(
    () => 'made twice',
    (error) => String(error),
  );
  assert.match(refused, /CONFLICT/);
  step('the same again', 'CONFLICT: each has one');
  return made;
}

async function brokenAndMended(scene: Walk, step: Step): Promise<void> {
  const { fleet, artifacts, dir, signal } = scene;
  const label = { version: '2.0.0', sequence: 2 };
  const variant = { module: 'web', layer: artifacts.layers.web, label, key: null } as const;
  const image = await makeVariant(fleet.billet, variant, dir, signal);
  await billet(scene, 'module', 'push', image, 'web:2.0.0');
  await billet(scene, 'node', 'set', FIRST, '--module', 'web:2.0.0');
  step('web 2.0.0, unsigned, on one node', FIRST);
  const drift = () => signalOf(scene, 'open');
  const noticed = await seen(scene, 'the signal', 180, drift);
  assert.equal(noticed.kind, 'module.drift_detected');
  assert.match(`${noticed.cause} ${noticed.hint}`, /SIGNATURE/);
  step('module.drift_detected', noticed.cause);
  const { steps, task } = await seen(scene, 'the remedy', 120, async () => {
    const found = await signalOf(scene, 'open');
    return found && found.remedy.taken > 0 ? found.remedy : null;
  });
  assert.deepEqual([noticed.policy, steps[0]], ['notify_and_proceed', 'reconcile']);
  step(`by itself: task ${task}`, 'reconcile: it looks again');
  const still = Instance.parse(await billet(scene, 'instance', 'show', FIRST));
  const web = still.heartbeat?.modules?.find(({ name }) => name === 'web');
  assert.deepEqual([still.state, web?.version, web?.state], ['running', '1.0.0', 'attached']);
  step('meanwhile', 'web 1.0.0 goes on');

  const { privateKey } = artifacts.keys;
  await billet(scene, 'module', 'sign', image, '--key', privateKey, '--identity', 'web');
  await billet(scene, 'module', 'push', image, 'web:2.0.0');
  step('billet module sign, push', 'the same bytes, signed');
  const mended = await seen(scene, 'web 2.0.0', 240, async () => {
    const one = Instance.parse(await fleet.billet('instance', 'show', FIRST));
    const running = one.heartbeat?.modules?.find(({ name }) => name === 'web');
    return running?.version === '2.0.0' && running.state === 'attached' ? one : null;
  });
  const { resolution } = await seen(scene, 'its end', 60, () => signalOf(scene, 'resolved'));
  step('resolved by itself', resolution);
  assert.equal(mended.heartbeat?.bootId, still.heartbeat?.bootId);
}

async function signalOf(scene: Walk, state: string): Promise<Signal | null> {
  const flags = ['--instance', FIRST, '--topic', 'drift', '--state', state, '--all'];
  const found = z.array(Signal).parse(await billet(scene, 'signal', 'list', ...flags));
  return found[0] ?? null;
}

async function drained(scene: Walk, step: Step): Promise<void> {
  const refused = await scene.fleet.billet('instance', 'terminate', FIRST).then(
    () => 'ended',
    (error) => String(error),
  );
  assert.match(refused, /DRAIN_REQUIRED.*web/s);
  step('billet instance terminate', 'DRAIN_REQUIRED: for web');
  await billet(scene, 'instance', 'drain', FIRST, '--wait', '--timeout-seconds', '240');
  const one = Instance.parse(await billet(scene, 'instance', 'show', FIRST));
  assert.deepEqual([one.state, one.drained], ['draining', true]);
  const modules = one.heartbeat?.modules ?? [];
  assert.deepEqual(
    modules.filter(({ state }) => state === 'attached'),
    [],
    'seen empty',
  );
  step('billet instance drain', 'seen empty');
}

async function ended(scene: Walk, step: Step, instances: readonly Instance[]): Promise<void> {
  await billet(scene, 'instance', 'terminate', FIRST, '--wait');
  step('billet instance terminate', 'it was empty: no force');
  await billet(scene, 'instance', 'terminate', SECOND, '--force', '--wait');
  step('billet instance terminate --force', 'its web service with it');
  for (const { id } of instances) {
    const { state, certificate } = Instance.parse(await billet(scene, 'instance', 'show', id));
    assert.deepEqual([state, certificate], ['terminated', null]);
  }
  assert.deepEqual(await billet(scene, 'provider', 'leftovers'), []);
  const providers = z
    .array(z.object({ name: z.string(), machines: z.int() }))
    .parse(await billet(scene, 'provider', 'list'));
  for (const { machines } of providers) assert.equal(machines, 0);
  step('billet provider leftovers', 'none, on either side');
  const nodes = z
    .array(z.object({ name: z.string(), instance: z.string().nullable() }))
    .parse(await billet(scene, 'node', 'list'));
  assert.deepEqual(
    nodes.map(({ name, instance }) => [name, instance]),
    NODES.map((name) => [name, null]),
  );
  step('billet node list', 'both nodes kept, and free');
}
