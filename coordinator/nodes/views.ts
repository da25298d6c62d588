// Nodes and instances as operators see them, from what is stored and what is known besides. Decides
// nothing.

import type { Heartbeat } from '#shared/schema/heartbeat.ts';
import type { Machine } from '#shared/schema/provider.ts';
import type { Instance, Node } from '#shared/schema/records.ts';
import { isoTime } from '../ids.ts';
import type { InstallRecord } from '../installs/records.ts';
import type { Heard } from '../installs/reports.ts';
import type { Found } from '../store/collection.ts';
import type { InstanceRecord, MachineRecord, NodeRecord } from './records.ts';
import { newestGood } from './rules.ts';

export const nodeView = ({ record, revision }: Found<NodeRecord>): Node => ({
  name: record.name,
  spec: record.spec,
  derived: record.derived,
  generation: record.generation,
  instance: record.instance,
  set: record.set,
  createdAt: isoTime(record.createdAt),
  revision,
});

/** What is known of an instance beside its record. */
export interface Presence {
  readonly heartbeat: Heartbeat | null;
  readonly lastSeenAt: number | null;
  readonly connected: boolean;
  /** What it waits for after a restore. */
  readonly ahead: Instance['ahead'];
  readonly drain: Instance['drain'];
  readonly cameBack: Instance['cameBack'];
  /** The newest report of an installation. */
  readonly install: Heard | null;
}

export const instanceView = (record: InstanceRecord, presence: Presence): Instance => ({
  id: record.id,
  node: record.node,
  pool: record.pool,
  provider: record.provider,
  lifecycleClass: record.lifecycleClass,
  state: record.state,
  reason: record.reason,
  createdAt: isoTime(record.createdAt),
  stateSince: isoTime(record.stateSince),
  generation: record.generation,
  confirmed: newestGood(record),
  rejected: record.rejected,
  bootOrdered: record.boot.ordered,
  ahead: presence.ahead,
  facts: record.facts,
  heartbeat: presence.heartbeat,
  lastSeenAt: presence.lastSeenAt === null ? null : isoTime(presence.lastSeenAt),
  connected: presence.connected,
  certificate: record.certificate && {
    serial: record.certificate.serial,
    notAfter: isoTime(record.certificate.notAfter),
  },
  drained: record.drained,
  preemptedAt: record.preemption && isoTime(record.preemption.endsAt),
  drain: presence.drain,
  cameBack: presence.cameBack,
  machine: record.machine && machineView(record.machine),
  install: record.install && installView(record.install, presence.install),
});

const installView = (
  { event, orderedAt, doneAt, wipeId, diskSerial, waits }: InstallRecord,
  heard: Heard | null,
): Instance['install'] => {
  const own = heard?.report.event === event ? heard : null;
  return {
    ...{ event, wipeId, diskSerial, waits },
    orderedAt: isoTime(orderedAt),
    doneAt: doneAt === null ? null : isoTime(doneAt),
    startedAt: own?.startedAt ? isoTime(own.startedAt) : null,
    report: own && { ...own.report, at: isoTime(own.at) },
  };
};

const machineView = (machine: MachineRecord): Machine => {
  const { operation, shape, uuid, mac, state, attempts, fault } = machine;
  return { operation, shape, uuid, mac, state, attempts, fault };
};
