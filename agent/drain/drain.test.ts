import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { DrainOrder } from '#shared/schema/drain.ts';
import { TaskId } from '#shared/schema/ids.ts';
import { LeasedTask } from '#shared/schema/task.ts';
import { drainTask, uncordonTask } from '../tasks/drain.ts';
import { openCordon } from './cordon.ts';
import { drain } from './drain.ts';
import { fullWorld, pod, quickClock, type TestWorld, testDrain } from './testing.ts';
import { uncordon } from './uncordon.ts';

const never = new AbortController().signal;
const TASK = TaskId.parse('t-0123456789abcdef');
const order = (fields: Partial<DrainOrder> = {}) =>
  DrainOrder.parse({ timeoutSeconds: 20, ...fields });
const leased = (spec: object) => LeasedTask.parse({ id: TASK, epoch: 1, spec, leaseSeconds: 60 });

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'billet-drain-'));
});
afterEach(() => rm(dir, { recursive: true }));

const isEmpty = ({ cluster, engine, services }: TestWorld) =>
  cluster?.pods.every(({ belongs }) => belongs) && engine?.up === false && services.length === 0;

test('pods, containers, the engine and services go, in this order, and come back', async () => {
  const world = fullWorld();
  const deps = testDrain(world, await openCordon(dir));
  const report = await drain(TASK, order(), deps, never);
  assert.equal(report.empty, true);
  assert.ok(isEmpty(world));
  assert.deepEqual(world.log, [
    ...['cordon', 'evict', 'stop cache', 'stop db', 'stop docker.service'],
    ...['detach base', 'detach web'],
  ]);
  assert.ok(report.done.some((line) => line === 'services stop: web, base'));
  await uncordon(deps, never);
  assert.deepEqual(world.log.slice(-2), ['start docker.service', 'uncordon']);
  assert.equal(deps.cordon.held, 'nothing');
  assert.deepEqual(await uncordon(deps, never), ['nothing was held']);
});

test('a cordon lets run what runs', async () => {
  const world = fullWorld();
  const cordon = await openCordon(dir);
  const report = await drain(TASK, order({ cordonOnly: true }), testDrain(world, cordon), never);
  assert.deepEqual(world.log, ['cordon']);
  assert.deepEqual([report.empty, report.stayed, cordon.held], [false, [], 'new']);
});

for (const [refusal, name, reason] of [
  ['evict', 'default/web', /the budget of it/],
  ['stop', 'db', /cannot stop/],
  ['stop-engine', 'docker', /was refused/],
  ['detach', 'web', /detach was refused/],
  ['api', 'kubernetes', /no answer/],
] as const)
  test(`${refusal} that is refused is what stays when the time is over, by name`, async () => {
    const world = fullWorld();
    world.refusals.add(refusal);
    const cordon = await openCordon(dir);
    const task = leased({ kind: 'drain', ...order() });
    const outcome = await drainTask(testDrain(world, cordon)).run(task, never);
    assert.deepEqual([outcome?.outcome, outcome?.code], ['failed', 'DRAIN_INCOMPLETE']);
    const found = outcome?.drain?.stayed.find((one) => one.name === name);
    assert.match(found?.reason ?? '', reason);
    assert.match(outcome?.message ?? '', reason);
    assert.equal(outcome?.drain?.empty, false);
    // It goes on where it stopped, once nothing is refused.
    world.refusals.clear();
    const again = TaskId.parse('t-fedcba9876543210');
    assert.equal((await drain(again, order(), testDrain(world, cordon), never)).empty, true);
  });

test('the time of a drain goes on through a crash, and a jump of the clock gives no more', async () => {
  const world = fullWorld();
  world.refusals.add('api');
  const cordon = await openCordon(dir);
  await cordon.set({ held: 'new', task: TASK, begunAt: 0, units: [], clusterNode: null });
  const clock = quickClock();
  await drain(TASK, order(), testDrain(world, cordon, { clock }), never);
  assert.ok(clock.monotonic() < 2_000);
  const later = clock.now() + 10 * 24 * 3_600_000;
  await cordon.set({ held: 'new', task: TASK, begunAt: later, units: [], clusterNode: null });
  const back = quickClock();
  await drain(TASK, order(), testDrain(world, cordon, { clock: back }), never);
  assert.ok(back.monotonic() >= 20_000 && back.monotonic() < 24_000);
});

/** Drains, is killed before the nth effect, is started again and uncordoned; what it did. */
async function killedAt(nth: number, forgets: boolean) {
  const world = fullWorld();
  let passed = 0;
  const killed = Promise.withResolvers<void>();
  const point = async () => {
    if (passed++ !== nth) return;
    killed.resolve();
    await new Promise(() => undefined);
  };
  const first = testDrain(world, await openCordon(dir), { point });
  const whole = drain(TASK, order(), first, never).then(() => 'whole');
  const end = await Promise.race([whole, killed.promise]);
  if (forgets) await rm(join(dir, 'cordon.json'), { force: true });
  const second = testDrain(world, await openCordon(dir));
  assert.equal((await drain(TASK, order(), second, never)).empty, true);
  assert.ok(isEmpty(world));
  await uncordonTask(second).run(leased({ kind: 'uncordon' }), never);
  await rm(join(dir, 'cordon.json'), { force: true });
  const { cluster, engine } = world;
  return { isEnd: end === 'whole', isBack: cluster?.cordoned === false && engine?.up === true };
}

test('killed before any effect, a drain goes on to its end, and all of it is taken back', async () => {
  for (let nth = 0; ; nth += 1) {
    const { isEnd, isBack } = await killedAt(nth, false);
    assert.ok(isBack, `effect ${nth}`);
    if (isEnd) return assert.ok(nth >= 5);
  }
});

test('without what it wrote before, a drain that was killed leaves something stopped for ever', async () => {
  const lost: number[] = [];
  for (let nth = 0; ; nth += 1) {
    const { isEnd, isBack } = await killedAt(nth, true);
    if (!isBack) lost.push(nth);
    if (isEnd) break;
  }
  assert.ok(lost.length > 0);
});

test('a damaged record of a drain holds everything until a person lifts it', async () => {
  const cordon = await openCordon(dir);
  await cordon.set({ held: 'new', task: TASK, begunAt: 1, units: [], clusterNode: null });
  const path = join(dir, 'cordon.json');
  await writeFile(path, (await readFile(path, 'utf8')).replace('"new"', '"nix"'));
  const found = await openCordon(dir);
  assert.equal(found.held, 'all');
  assert.equal(found.damage[0]?.code, 'STATE_CORRUPT');
  assert.match(found.damage[0]?.message ?? '', /until the instance is uncordoned/);
  assert.equal((await openCordon(dir)).held, 'all');
  await found.lift();
  assert.equal((await openCordon(dir)).held, 'nothing');
});

test('a drain that is taken back ends at once, and the node stays as it is', async () => {
  const world = fullWorld();
  world.cluster?.pods.push(pod('other'));
  world.refusals.add('evict');
  const stop = new AbortController();
  const cordon = await openCordon(dir);
  const point = async (what: string) => {
    if (what === 'evict') stop.abort(new Error('the lease was lost'));
  };
  await assert.rejects(
    drain(TASK, order(), testDrain(world, cordon, { point }), stop.signal),
    /lease/,
  );
  assert.equal(cordon.held, 'new');
  assert.equal(world.services.length, 2);
});
