// Providers, the machines that they make for nodes, and what was left at them. Bodies are strict.

import { z } from 'zod';
import { InstanceId, NodeName, ResourceName } from '../schema/ids.ts';
import {
  Leftover,
  MachineShape,
  OperationKey,
  Provider,
  ProviderFault,
  ProviderKind,
} from '../schema/provider.ts';
import { Instance } from '../schema/records.ts';
import { empty, none } from './common.ts';
import type { Route } from './route.ts';

/** Accepted is recorded: the machines come after, and show in their instances. */
export const provisionInstances = {
  method: 'POST',
  path: '/v1/instances',
  caller: 'operator',
  summary: 'Let a provider make the machines of up to 50 nodes',
  params: none,
  query: none,
  body: z.strictObject({
    /** 50 at most; more are refused as a whole. */
    nodes: z.array(NodeName).min(1).max(1000),
    /** Without it, the one of the node's instance type. */
    provider: ProviderKind.optional(),
    instanceType: ResourceName.optional(),
    /** Without it, the one of the node's instance type. */
    shape: MachineShape.optional(),
    /** Each node takes an instance that waits in the warm pool of its own; nothing is made. */
    fromPool: z.boolean().default(false),
    /** The same key again returns the same instances. */
    idempotencyKey: z
      .string()
      .regex(/^[\x21-\x7e]{1,128}$/)
      .optional(),
  }),
  reply: z.object({
    items: z.array(
      z.object({
        node: NodeName,
        instance: InstanceId.nullable(),
        fault: ProviderFault.nullable(),
      }),
    ),
  }),
  status: 202,
} as const satisfies Route;

export const preemptInstance = {
  method: 'POST',
  path: '/v1/instances/{id}/preempt',
  caller: 'operator',
  summary: 'Say that its provider takes the machine of an instance away soon; safe to send again',
  params: z.strictObject({ id: InstanceId }),
  query: none,
  body: z.strictObject({
    /** From now on: what is left then is lost. An earlier end replaces a later one. */
    inSeconds: z.int().min(0).max(86_400),
  }),
  reply: Instance,
} as const satisfies Route;

export const listProviders = {
  method: 'GET',
  path: '/v1/providers',
  caller: 'viewer',
  summary: 'List providers: their modes, how many machines they have, what is wrong with them',
  params: none,
  query: none,
  body: none,
  reply: z.object({ items: z.array(Provider) }),
} as const satisfies Route;

export const listLeftovers = {
  method: 'GET',
  path: '/v1/providers/leftovers',
  caller: 'viewer',
  summary: 'List machines without a live instance, and live instances without their machine',
  params: none,
  query: none,
  body: none,
  reply: z.object({ items: z.array(Leftover) }),
} as const satisfies Route;

export const destroyLeftover = {
  method: 'DELETE',
  path: '/v1/providers/{provider}/machines/{operation}',
  caller: 'operator',
  summary: 'Destroy a machine that no live instance has',
  params: z.strictObject({ provider: ProviderKind, operation: OperationKey }),
  query: none,
  body: empty,
  reply: empty,
} as const satisfies Route;
