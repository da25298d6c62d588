// What the coordinator stores of nodes and instances. Decides nothing; how it becomes what operators
// see is in views.ts.

import { z } from 'zod';
import { LifecycleClass } from '#shared/schema/class.ts';
import { Envelope } from '#shared/schema/desired.ts';
import { Facts } from '#shared/schema/facts.ts';
import { Heartbeat } from '#shared/schema/heartbeat.ts';
import {
  InstanceId,
  MacAddress,
  NodeName,
  ResourceName,
  Serial,
  TokenId,
} from '#shared/schema/ids.ts';
import {
  MachineShape,
  MachineState,
  OperationKey,
  ProviderFault,
  ProviderKind,
} from '#shared/schema/provider.ts';
import { Derived, InstanceState, NodeSpec } from '#shared/schema/records.ts';
import { machineNames, newOperationKey } from '../ids.ts';
import { InstallRecord } from '../installs/records.ts';
import { collection } from '../store/collection.ts';
import type { Store } from '../store/store.ts';
import { INSTANCE_MIGRATIONS, NODE_MIGRATIONS } from './migrations.ts';

/** Unix milliseconds. */
const Moment = z.int().nonnegative();
const Generation = z.int().positive();

export const NodeRecord = z.strictObject({
  name: NodeName,
  spec: NodeSpec,
  generation: Generation,
  instance: InstanceId.nullable(),
  /** Instances that it has had, the present one included: the first one fixes its class. */
  lives: z.int().nonnegative(),
  /** What its spec and the records that it names come to; written whenever one of them changes. */
  derived: Derived,
  set: ResourceName.nullable(),
  createdAt: Moment,
});
export type NodeRecord = z.infer<typeof NodeRecord>;

/** What was asked of a provider for one instance, written before the first call. */
export const MachineRecord = z.strictObject({
  operation: OperationKey,
  shape: MachineShape,
  /** Where it was asked for; it counts there until it is proven gone. */
  region: ResourceName.nullable(),
  uuid: z.uuid(),
  mac: MacAddress,
  /** Idempotency key of the call that asked for it. */
  request: z.string().max(128).nullable(),
  state: MachineState.nullable(),
  attempts: z.int().nonnegative(),
  /** No call before this time. */
  retryAt: Moment,
  fault: ProviderFault.nullable(),
  /** Whether a person gave up on proving it gone. */
  abandoned: z.boolean(),
});
export type MachineRecord = z.infer<typeof MachineRecord>;

/** A machine that was not asked for yet. Its UUID and address follow from its operation key. */
export function newMachine(
  { shape, region }: Pick<MachineRecord, 'shape' | 'region'>,
  request: string | null,
): MachineRecord {
  const operation = newOperationKey();
  return {
    operation,
    shape,
    region,
    ...machineNames(operation),
    request,
    state: null,
    attempts: 0,
    retryAt: 0,
    fault: null,
    abandoned: false,
  };
}

export const InstanceRecord = z.strictObject({
  id: InstanceId,
  /** While it waits in a warm pool no node has it, and it goes by its own id. */
  node: NodeName,
  /** In whose warm pool it waits; null once a node has it. */
  pool: ResourceName.nullable(),
  provider: ProviderKind,
  lifecycleClass: LifecycleClass,
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
  /** Proven empty by its drain. */
  drained: z.boolean(),
  /** Whether its node gets another one when it has ended. */
  replace: z.boolean(),
  /** Its provider's notice that it takes the machine away, and when. */
  preemption: z.strictObject({ noticedAt: Moment, endsAt: Moment }).nullable(),
  /** Null with the provider `manual`. */
  machine: MachineRecord.nullable(),
  /** Null: it was made without an install plan, and none was ordered since. */
  install: InstallRecord.nullable(),
});
export type InstanceRecord = z.infer<typeof InstanceRecord>;

/** The heartbeat that last changed something; plain ones stay in memory. */
const HeartbeatRecord = z.strictObject({ heartbeat: Heartbeat, at: Moment });

const GenerationKey = z.string().regex(/^i-[0-9a-z]{16}\.\d{10}$/);
const IndexKey = z.string().regex(/^([0-9a-f-]{12,36}|(serial|asset)\.[a-z0-9_-]{1,192})$/);

export const generationKey = (instance: InstanceId, generation: number): string =>
  `${instance}.${String(generation).padStart(10, '0')}`;

export const nodeRecords = (store: Store) => ({
  nodes: collection(store, {
    prefix: 'nodes',
    schema: NodeRecord,
    id: NodeName,
    version: 3,
    migrations: NODE_MIGRATIONS,
  }),
  instances: collection(store, {
    prefix: 'instances',
    schema: InstanceRecord,
    id: InstanceId,
    version: 3,
    migrations: INSTANCE_MIGRATIONS,
  }),
  /** Machines that a provider was, or will be, asked for, until they are proven gone. */
  operations: collection(store, {
    prefix: 'operations',
    schema: z.strictObject({
      instance: InstanceId,
      provider: ProviderKind,
      region: ResourceName.nullable(),
    }),
    id: OperationKey,
    version: 1,
  }),
  /** Instances that wait in a warm pool, until a node has them or they have ended. */
  warm: collection(store, {
    prefix: 'warm',
    schema: z.strictObject({ pool: ResourceName }),
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
  /** Which node a machine belongs to that knows only what its board says: see identifiers/rules.ts. */
  machines: collection(store, {
    prefix: 'machines',
    schema: z.strictObject({ node: NodeName }),
    id: IndexKey,
    version: 1,
  }),
});

/** The record in its next state, since `now`; the same object when it is in it already. */
export const enter = (
  record: InstanceRecord,
  state: InstanceState,
  now: number,
  reason = '',
): InstanceRecord =>
  record.state === state ? record : { ...record, state, reason, stateSince: now, signalled: 0 };
