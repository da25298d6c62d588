// A node for tests of the drain: cluster, engine, services and units in memory, each of which may
// refuse, and the disk for what is remembered. For tests only.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { ModuleName } from '#shared/schema/module.ts';
import type { Stopping } from '../reconcile/stop-order.ts';
import type { Held } from '../reconcile/world.ts';
import type { Cordon } from './cordon.ts';
import type { DrainDeps } from './drain.ts';
import type { SeenContainer, SeenPod } from './seen.ts';

/** What outlives a life of the agent. */
export interface TestWorld {
  /** Null for a machine of no cluster. */
  cluster: { cordoned: boolean; pods: SeenPod[] } | null;
  /** Null for a machine without an engine. */
  engine: { up: boolean; containers: SeenContainer[] } | null;
  services: Stopping[];
  /** What the cluster and systemd say, while they say it. */
  readonly refusals: Set<'evict' | 'stop' | 'stop-engine' | 'detach' | 'api'>;
  /** What was done, in order. */
  readonly log: string[];
}

export const service = (name: string, ...requires: string[]): Stopping => ({
  name: ModuleName.parse(name),
  requires: requires.map((each) => ModuleName.parse(each)),
});

export const pod = (name: string, belongs = false): SeenPod => ({
  ...{ name: `default/${name}`, belongs, reason: 'it was not evicted' },
});

export const container = (name: string, restarts = false): SeenContainer => ({
  ...{ id: name.padEnd(64, '0'), name, restarts },
});

export const fullWorld = (): TestWorld => ({
  cluster: { cordoned: false, pods: [pod('web'), pod('proxy', true)] },
  engine: { up: true, containers: [container('db'), container('cache', true)] },
  services: [service('base'), service('web', 'base')],
  refusals: new Set(),
  log: [],
});

/** Its hours pass in a blink: whoever looks again after a second moves it on, and limits wait for that. */
export function quickClock(): Clock {
  const start = Date.UTC(2026, 10, 21);
  const sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();
  let passed = 0;
  function turn(): void {
    passed += LOOK_MS;
    for (const sleeper of sleepers)
      if (sleeper.at <= passed) {
        sleepers.delete(sleeper);
        sleeper.wake();
      }
  }
  return {
    now: () => start + passed,
    monotonic: () => passed,
    async sleep(ms, signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const sleeper = { at: passed + ms, wake: resolve };
      sleepers.add(sleeper);
      const gone = () => sleepers.delete(sleeper) && resolve();
      signal.addEventListener('abort', gone, { once: true });
      if (ms === LOOK_MS) setImmediate(turn);
      await promise;
      signal.throwIfAborted();
    },
  };
}

const LOOK_MS = 1_000;
const NODE = 'node-1';
const UNIT = 'docker.service';

/** `point` comes before each effect, and may never return. */
export function testDrain(
  world: TestWorld,
  cordon: Cordon,
  { point = async () => undefined, clock = quickClock() }: TestDrainOptions = {},
): DrainDeps {
  const act = async (what: string) => {
    await point(what);
    world.log.push(what);
  };
  const refuse = (what: Parameters<TestWorld['refusals']['has']>[0]) => {
    if (world.refusals.has(what))
      throw new BilletError('COMMAND_FAILED', `${what} was refused`, { hint: 'wait' });
  };
  let held: Held = 'nothing';
  const cycle = () => {
    held = cordon.held;
    if (held === 'all' && !world.refusals.has('detach'))
      for (const { name } of world.services.splice(0)) world.log.push(`detach ${name}`);
  };
  const isUp = () => world.engine?.up === true;
  return {
    ...{ clock, cordon, processes: async () => [] },
    attaching: {
      wake: cycle,
      status: () => ({ held, failure: world.refusals.has('detach') ? 'detach was refused' : null }),
      services: async () => [...world.services],
    },
    engine: {
      observe: async () =>
        world.engine && isUp()
          ? { kind: 'up', containers: [...world.engine.containers], units: [UNIT], reason: '' }
          : null,
      async stop(wanted) {
        await act(`stop ${wanted.map(({ name }) => name).join(' ')}`);
        if (world.refusals.has('stop'))
          return wanted.map(({ id }) => `cannot stop: ${id}`).join('\n');
        const ids = new Set(wanted.map(({ id }) => id));
        if (world.engine)
          world.engine.containers = world.engine.containers.filter(({ id }) => !ids.has(id));
        return '';
      },
    },
    cluster: {
      async observe() {
        if (world.cluster === null) return null;
        if (world.refusals.has('api')) return { kind: 'fault', reason: 'no answer' };
        return { kind: 'member', node: NODE, ...world.cluster };
      },
      async cordon() {
        await act('cordon');
        refuse('api');
        if (world.cluster) world.cluster.cordoned = true;
      },
      async uncordon() {
        await act('uncordon');
        refuse('api');
        if (world.cluster) world.cluster.cordoned = false;
      },
      async drain() {
        await act('evict');
        if (world.refusals.has('evict'))
          return 'error when evicting pods/"web" -n "default": the budget of it';
        if (world.cluster) world.cluster.pods = world.cluster.pods.filter(({ belongs }) => belongs);
        return '';
      },
    },
    units: {
      async start(names) {
        await act(`start ${names.join(' ')}`);
        if (world.engine) world.engine.up = true;
      },
      async stop(names) {
        await act(`stop ${names.join(' ')}`);
        refuse('stop-engine');
        if (world.engine) world.engine.up = false;
      },
      states: async (names) => new Map(names.map((name) => [name, isUp() ? 'active' : 'inactive'])),
    },
  };
}

export interface TestDrainOptions {
  readonly point?: (what: string) => Promise<void>;
  readonly clock?: Clock;
}
