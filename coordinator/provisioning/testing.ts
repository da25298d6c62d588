// For tests: a world of machines outside any coordinator, a provider in front of it that can be made
// to fail, hang, lie or die at each call, and coordinators' loops over a store that dies at a commit.

import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { type Clock, systemClock } from '#shared/clock.ts';
import { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { type InstanceId, NodeName } from '#shared/schema/ids.ts';
import type { MachineState, OperationKey } from '#shared/schema/provider.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { certificateRegister } from '../ca/register.ts';
import { silentLog } from '../log.ts';
import { createNode } from '../nodes/node-writes.ts';
import type { MachineOrder, Provider, Providers } from '../providers/provider.ts';
import { records as openRecords } from '../records.ts';
import type { Store } from '../store/store.ts';
import type { DriveDeps } from './drive.ts';
import { provisioner } from './loop.ts';
import { placementOf } from './placement.ts';
import { type Provisioned, provision } from './provision-writes.ts';

/** What outlives every coordinator. */
export interface World {
  readonly machines: Map<string, { readonly order: MachineOrder; state: MachineState }>;
  readonly ended: Set<OperationKey>;
  /** Calls that changed something, in order. */
  readonly calls: string[];
}

export const newWorld = (): World => ({ machines: new Map(), ended: new Set(), calls: [] });

export interface Faults {
  /** Comes before and after each effect: may throw, or never return. */
  readonly at?: (moment: string) => Promise<void>;
  /** Says that it did what it did not. */
  readonly lies?: 'made' | 'destroyed';
  /** A mutation: each call makes a machine of its own, whatever the key. */
  readonly forgetsKeys?: boolean;
  /** A mutation: the first look of a life at a machine shows none, as if it were not looked. */
  readonly blind?: boolean;
  readonly machinesMax?: number;
}

export function worldProvider(world: World, faults: Faults = {}): Provider {
  const { at = async () => undefined, machinesMax = 16 } = faults;
  let made = 0;
  const looked = new Set<OperationKey>();
  return {
    ...{ name: 'local-qemu', mode: 'real', machinesMax },
    check: async () => undefined,
    async provision(order) {
      await at(`make ${order.node}`);
      if (world.ended.has(order.operation))
        throw new BilletError('CONFLICT', 'it was terminated', { hint: 'ask for another' });
      if (world.machines.size >= machinesMax)
        throw new BilletError('PROVIDER_QUOTA', 'no room', { hint: 'terminate one' });
      if (world.machines.get(order.operation)?.state === 'running') return;
      made += 1;
      const key = faults.forgetsKeys ? `${order.operation}/${world.calls.length}` : order.operation;
      world.calls.push(`make ${order.node}`);
      if (faults.lies !== 'made') world.machines.set(key, { order, state: 'running' });
      await at(`made ${order.node} ${made}`);
    },
    async status(operation) {
      await at('look');
      const isFirst = !looked.has(operation);
      looked.add(operation);
      if (faults.blind && isFirst && !world.ended.has(operation)) return 'making';
      const key = [...world.machines.keys()].find((each) => each.startsWith(operation));
      return (key && world.machines.get(key)?.state) || 'absent';
    },
    async terminate(operation) {
      await at('destroy');
      world.ended.add(operation);
      world.calls.push('destroy');
      if (faults.lies !== 'destroyed') world.machines.delete(operation);
      await at('destroyed');
    },
    list: async () =>
      [...world.machines.values()].map(({ order, state }) => ({
        operation: order.operation,
        state,
      })),
  };
}

export interface HandClock extends Clock {
  forward(ms: number): void;
  /** The time of day only. */
  jump(ms: number): void;
}

/** Stands still; a sleep ends when the clock is moved past it, or at the next turn if `quick`. */
export function handClock(start = systemClock.now()): HandClock {
  let passed = 0;
  let jumped = 0;
  const sleepers = new Set<{ readonly until: number; readonly wake: () => void }>();
  return {
    now: () => start + passed + jumped,
    monotonic: () => passed,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const sleeper = { until: passed + ms, wake: resolve };
        sleepers.add(sleeper);
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
    jump(ms) {
      jumped += ms;
    },
    forward(ms) {
      passed += ms;
      for (const one of sleepers)
        if (one.until <= passed) {
          sleepers.delete(one);
          one.wake();
        }
    },
  };
}

const FINGERPRINT = Digest.parse(`sha256:${'ab'.repeat(32)}`);
const IMAGE = {
  ...{ repository: 'boot', manifest: FINGERPRINT, kernel: FINGERPRINT, initramfs: FINGERPRINT },
  ...{ kernelRelease: '6.12.0', commandLine: 'console=ttyS0' },
};

/** The part of a coordinator that concerns machines, over a store and a world. */
export function life(of: {
  readonly store: Store;
  readonly clock: Clock;
  readonly provider: Provider;
  /** When each instance was last seen. */
  readonly seen?: Map<InstanceId, number>;
}) {
  const { store, clock, provider, seen = new Map<InstanceId, number>() } = of;
  const records = openRecords(store, clock);
  const providers: Providers = new Map([[provider.name, provider]]);
  const bootFiles: DriveDeps['bootFiles'] = async () => ({ kernel: '/k', initramfs: '/i' });
  const deps = {
    ...{ records, clock, providers, bootFiles, holder: 'a', log: silentLog },
    authority: { fingerprint: FINGERPRINT },
    url: () => 'https://10.0.2.2:1',
    bootScriptUrl: () => null,
    register: certificateRegister(store),
    revocations: { reached: async () => undefined },
    seen: async () => seen,
  } as const;
  const loop = provisioner(deps);
  const signal = new AbortController().signal;
  return {
    deps,
    records,
    seen,
    pass: () => loop.pass(signal),
    async node(name: string, spec: object = {}): Promise<NodeName> {
      const wanted = {
        name: NodeName.parse(name),
        spec: NodeSpec.parse({ bootImage: IMAGE, ...spec }),
      };
      return (await createNode(records, 'admin:a', wanted)).record.name;
    },
    ask(nodes: readonly NodeName[], idempotencyKey: string | null = null, fromPool = false) {
      const placement = placementOf(records, { provider: provider.name });
      const order = { nodes, placement, fromPool, idempotencyKey };
      return provision(deps, 'admin:a', order, signal);
    },
  };
}
export type Life = ReturnType<typeof life>;

/** The instance of the one node that was asked for. */
export function only(items: readonly Provisioned[]) {
  const [item] = items;
  return item?.instance ?? assert.fail(JSON.stringify(items));
}

/** Lets what waits for nothing but the event loop go on. */
export async function settle(turns = 50): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await setImmediate();
}
