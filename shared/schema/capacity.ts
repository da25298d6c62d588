// What providers, regions and pools can still take, and how the fleet stands.

import { z } from 'zod';
import { InstanceId, NodeName, ResourceName, Timestamp } from './ids.ts';
import { ProviderFault, ProviderKind, ProviderMode } from './provider.ts';
import { InstanceState } from './records.ts';

const Count = z.int().nonnegative();

/** Instances by state; states without one are absent. */
export const StateCounts = z.partialRecord(InstanceState, Count);
export type StateCounts = z.infer<typeof StateCounts>;

/** Machines: how many there are, and how many more there may be. */
const Room = z.object({
  used: Count,
  /** Its own limit; null without one. */
  max: Count.nullable(),
  /** Under its own limit and those above it; null where nothing limits. */
  free: Count.nullable(),
  /** What sets `free`: `provider local-qemu`, `region here`; null where nothing limits. */
  bound: z.string().nullable(),
});
export type Room = z.infer<typeof Room>;

export const Capacity = z.object({
  at: Timestamp,
  /** Live instances, warm ones included, and those that ended and were not replaced. */
  states: StateCounts,
  nodes: z.object({
    total: Count,
    /** Without a live instance: each would need a machine. */
    withoutInstance: Count,
  }),
  providers: z.array(
    Room.extend({
      name: ProviderKind,
      mode: ProviderMode,
      /** Why it can take none at all now. */
      fault: ProviderFault.nullable(),
    }),
  ),
  regions: z.array(Room.extend({ name: ResourceName, provider: ProviderKind })),
  pools: z.array(
    Room.extend({
      name: ResourceName,
      class: ResourceName,
      provider: ProviderKind.nullable(),
      region: ResourceName.nullable(),
      nodes: Count,
      withoutInstance: Count,
      states: StateCounts,
      /** wanted by the pool; ready to be claimed; others are on their way there. */
      warm: z.object({ wanted: Count, ready: Count, others: Count }),
    }),
  ),
  /** What stands in the way, the gravest first, each with the next command. */
  findings: z.array(z.object({ text: z.string(), hint: z.string() })),
  /** Up to 20 of those that failed. */
  failed: z.array(z.object({ instance: InstanceId, node: NodeName, reason: z.string() })),
});
export type Capacity = z.infer<typeof Capacity>;
