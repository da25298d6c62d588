// What the coordinator stores of nodes and instances, and how it becomes what operators see. Decides
// nothing; versions and migrations of the records stand here.

import { z } from 'zod';
import { Envelope } from '#shared/schema/desired.ts';
import { Facts } from '#shared/schema/facts.ts';
import { Heartbeat } from '#shared/schema/heartbeat.ts';
import { InstanceId, NodeName, Serial, TokenId } from '#shared/schema/ids.ts';
import { type Instance, InstanceState, type Node, NodeSpec } from '#shared/schema/records.ts';
import { isoTime } from '../ids.ts';
import { collection, type Found } from '../store/collection.ts';
import type { Store } from '../store/store.ts';
import { newestGood } from './rules.ts';

/** Unix milliseconds. */
const Moment = z.int().nonnegative();
const Generation = z.int().positive();

export const NodeRecord = z.strictObject({
  name: NodeName,
  spec: NodeSpec,
  generation: Generation,
  instance: InstanceId.nullable(),
  createdAt: Moment,
});
export type NodeRecord = z.infer<typeof NodeRecord>;

export const InstanceRecord = z.strictObject({
  id: InstanceId,
  node: NodeName,
  provider: z.literal('manual'),
  state: InstanceState,
  reason: z.string().max(1024),
  createdAt: Moment,
  stateSince: Moment,
  /** `afterMs` of the last deadline of this state that was signalled; 0 before. */
  signalled: z.int().nonnegative(),
  generation: Generation,
  answer: z.int().nonnegative(),
  kept: z.array(Generation),
  goods: z.array(Generation),
  rejected: z.array(z.strictObject({ generation: Generation, reason: z.string().max(1024) })),
  boot: z.strictObject({
    /** Whether the next network boot gets a token. */
    ordered: z.boolean(),
    /** The newest token given to such a boot. */
    token: TokenId.nullable(),
  }),
  /** Tokens that may still be used, so that the end of the instance closes them. */
  openTokens: z.array(TokenId),
  facts: Facts.nullable(),
  /** Of the newest boot that was heard of. */
  bootId: z.uuid().nullable(),
  certificate: z.strictObject({ serial: Serial, notAfter: Moment }).nullable(),
});
export type InstanceRecord = z.infer<typeof InstanceRecord>;

/** The heartbeat that last changed something; plain ones stay in memory. */
const HeartbeatRecord = z.strictObject({ heartbeat: Heartbeat, at: Moment });

const GenerationKey = z.string().regex(/^i-[0-9a-z]{16}\.\d{10}$/);
const IndexKey = z.string().regex(/^[0-9a-f-]{12,36}$/);

export const generationKey = (instance: InstanceId, generation: number): string =>
  `${instance}.${String(generation).padStart(10, '0')}`;

export const nodeRecords = (store: Store) => ({
  nodes: collection(store, { prefix: 'nodes', schema: NodeRecord, id: NodeName, version: 1 }),
  instances: collection(store, {
    prefix: 'instances',
    schema: InstanceRecord,
    id: InstanceId,
    version: 1,
  }),
  /** Desired state as it was made for one generation of one instance. */
  desired: collection(store, {
    prefix: 'desired',
    schema: Envelope,
    id: GenerationKey,
    version: 1,
  }),
  heartbeats: collection(store, {
    prefix: 'heartbeats',
    schema: HeartbeatRecord,
    id: InstanceId,
    version: 1,
  }),
  /** Which node a machine belongs to that knows only its MAC address (dashes) or SMBIOS UUID. */
  machines: collection(store, {
    prefix: 'machines',
    schema: z.strictObject({ node: NodeName }),
    id: IndexKey,
    version: 1,
  }),
});

/** The keys in `machines` of a node's spec. */
export const machineKeys = (spec: NodeSpec): readonly string[] => [
  ...new Set([
    ...spec.macs.map(macKey),
    ...(spec.dmiUuid === null ? [] : [spec.dmiUuid.toLowerCase()]),
  ]),
];

export const macKey = (mac: string): string => mac.toLowerCase().replaceAll(':', '-');

export const nodeView = ({ record, revision }: Found<NodeRecord>): Node => ({
  ...record,
  createdAt: isoTime(record.createdAt),
  revision,
});

/** What is known of an instance beside its record. */
export interface Presence {
  readonly heartbeat: Heartbeat | null;
  readonly lastSeenAt: number | null;
  readonly connected: boolean;
}

export const instanceView = (record: InstanceRecord, presence: Presence): Instance => ({
  id: record.id,
  node: record.node,
  state: record.state,
  reason: record.reason,
  createdAt: isoTime(record.createdAt),
  stateSince: isoTime(record.stateSince),
  generation: record.generation,
  confirmed: newestGood(record),
  rejected: record.rejected,
  bootOrdered: record.boot.ordered,
  facts: record.facts,
  heartbeat: presence.heartbeat,
  lastSeenAt: presence.lastSeenAt === null ? null : isoTime(presence.lastSeenAt),
  connected: presence.connected,
  certificate: record.certificate && {
    serial: record.certificate.serial,
    notAfter: isoTime(record.certificate.notAfter),
  },
});

/** The record in its next state, since `now`; the same object when it is in it already. */
export const enter = (
  record: InstanceRecord,
  state: InstanceState,
  now: number,
  reason = '',
): InstanceRecord =>
  record.state === state ? record : { ...record, state, reason, stateSince: now, signalled: 0 };
