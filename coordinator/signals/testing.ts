// For tests: nodes with running instances over a store in memory, a clock in the test's hand, and sensors
// of any number of coordinators. For tests only.

import { Heartbeat } from '#shared/schema/heartbeat.ts';
import { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { ModuleRef } from '#shared/schema/module.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { silentLog } from '../log.ts';
import { createInstance } from '../nodes/instance-writes.ts';
import { createNode } from '../nodes/node-writes.ts';
import { enter, type InstanceRecord } from '../nodes/records.ts';
import { records as openRecords, type Records } from '../records.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { IN_MEMORY } from '../store/sqlite-file.ts';
import type { Store } from '../store/store.ts';
import { SignalsConfig } from './config.ts';
import { type Sensors, sensors } from './sweep.ts';
import { type LiveClock, liveClock } from './testing-clock.ts';

export const MINUTE_MS = 60_000;
const BOOT = '11111111-1111-4111-8111-111111111111';
const digest = (letter: string) => `sha256:${letter.repeat(64)}`;

export const webModule = (letter = 'a'): ModuleRef =>
  ModuleRef.parse({
    ...{ name: 'web', kind: 'service', version: '1.0.0', repository: 'web' },
    ...{ manifest: digest(letter), image: digest(letter) },
  });

export interface Fleet {
  readonly clock: LiveClock;
  readonly store: Store;
  readonly records: Records;
  /** Every instance is heard at each minute but these. */
  readonly lost: Set<InstanceId>;
  /** A coordinator's sensors; two of the same name are one that was started again. */
  coordinator(name: string, over?: Store): Sensors;
  instance(node: string, fields?: Partial<InstanceRecord>, spec?: object): Promise<InstanceId>;
  said(id: InstanceId, fields: object): Promise<void>;
  /** As many minutes, with a look of each of these sensors in every one. */
  pass(minutes: number, ...all: readonly Sensors[]): Promise<void>;
  /** Kind and text of the events so far. */
  events(): Promise<readonly (readonly [kind: string, text: string])[]>;
  close(): Promise<void>;
}

export function fleet(config: object = {}, start?: number): Fleet {
  const clock = liveClock(start);
  const store = sqliteStore({ path: IN_MEMORY });
  const records = openRecords(store, clock);
  const seen = new Map<InstanceId, number>();
  const lost = new Set<InstanceId>();
  const hear = () => {
    for (const id of seen.keys()) if (!lost.has(id)) seen.set(id, clock.now());
  };
  return {
    ...{ clock, store, records, lost },
    coordinator: (holder, over = store) =>
      sensors({
        ...{ records: openRecords(over, clock), clock, log: silentLog, holder },
        config: SignalsConfig.parse(config),
        lastSeen: async () => new Map(seen),
      }),
    async instance(node, fields = {}, spec = {}) {
      const name = NodeName.parse(node);
      await createNode(records, 'operator:ann', { name, spec: NodeSpec.parse(spec) });
      const { id } = await createInstance(records, 'operator:ann', name);
      await records.instances.update(id, (record) =>
        record === null
          ? null
          : { ...enter(record, 'running', clock.now()), bootId: BOOT, ...fields },
      );
      seen.set(InstanceId.parse(id), clock.now());
      return id;
    },
    async said(id, fields) {
      const heartbeat = Heartbeat.parse({
        ...{ bootId: BOOT, agentVersion: '0.1.0', uptimeSeconds: 1, phase: 'ready', generation: 1 },
        ...fields,
      });
      await records.heartbeats.update(id, () => ({ heartbeat, at: clock.now() }));
    },
    async pass(minutes, ...all) {
      for (let minute = 0; minute < minutes; minute += 1) {
        clock.forward(MINUTE_MS);
        hear();
        for (const one of all) await one.sweep();
      }
    },
    async events() {
      const all = await Array.fromAsync(records.events.all());
      all.sort((a, b) => a.revision - b.revision);
      return all.map(({ record: { kind, text } }) => [kind, text] as const);
    },
    close: () => store.close(),
  };
}
