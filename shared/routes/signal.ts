// Signals as operators work with them, and quiet instances. Bodies are strict.

import { z } from 'zod';
import { InstanceId } from '../schema/ids.ts';
import { Quiet, Signal, SignalId, SignalState, SignalTopic } from '../schema/signal.ts';
import { empty, none, pageOf, pageQuery } from './common.ts';
import type { Route } from './route.ts';

const signalParams = z.strictObject({ id: SignalId });

/** Of the opening that the caller has seen: CONFLICT once it is another one. */
const answer = z.strictObject({ opening: z.int().positive().optional() }).default(() => ({}));

export const listSignals = {
  method: 'GET',
  path: '/v1/signals',
  caller: 'viewer',
  summary: 'List signals; those that are resolved only when asked for',
  params: none,
  query: pageQuery.extend({
    instance: InstanceId.optional(),
    topic: SignalTopic.optional(),
    /** Without it, all that are not resolved. */
    state: z.enum([...SignalState.options, 'all']).optional(),
  }),
  body: none,
  reply: pageOf(Signal),
} as const satisfies Route;

export const getSignal = {
  method: 'GET',
  path: '/v1/signals/{id}',
  caller: 'viewer',
  summary: 'Show one signal',
  params: signalParams,
  query: none,
  body: none,
  reply: Signal,
} as const satisfies Route;

export const acknowledgeSignal = {
  method: 'POST',
  path: '/v1/signals/{id}/acknowledge',
  caller: 'operator',
  summary: 'Say that somebody looks at a signal: nothing is done by itself meanwhile',
  params: signalParams,
  query: none,
  body: answer,
  reply: Signal,
} as const satisfies Route;

export const approveSignal = {
  method: 'POST',
  path: '/v1/signals/{id}/approve',
  caller: 'operator',
  summary: 'Let the remedy of a signal be taken, or be taken once more',
  params: signalParams,
  query: none,
  body: answer,
  reply: Signal,
} as const satisfies Route;

export const dismissSignal = {
  method: 'POST',
  path: '/v1/signals/{id}/dismiss',
  caller: 'operator',
  summary: 'Resolve a signal that is as it should be; it opens again only for another finding',
  params: signalParams,
  query: none,
  body: answer,
  reply: Signal,
} as const satisfies Route;

export const deleteSignal = {
  method: 'DELETE',
  path: '/v1/signals/{id}',
  caller: 'operator',
  summary: 'Delete the record of a signal that is resolved; its events stay',
  params: signalParams,
  query: none,
  body: empty,
  reply: empty,
} as const satisfies Route;

export const quietInstance = {
  method: 'POST',
  path: '/v1/instances/{id}/quiet',
  caller: 'operator',
  summary: 'Expect no heartbeat of an instance for a while; 0 seconds ends that',
  params: z.strictObject({ id: InstanceId }),
  query: none,
  body: z.strictObject({
    seconds: z
      .int()
      .min(0)
      .max(7 * 86_400),
    reason: z.string().max(256).default(''),
  }),
  reply: Quiet,
} as const satisfies Route;

export const getQuiet = {
  method: 'GET',
  path: '/v1/instances/{id}/quiet',
  caller: 'viewer',
  summary: 'Show until when no heartbeat is expected of an instance',
  params: z.strictObject({ id: InstanceId }),
  query: none,
  body: none,
  reply: Quiet,
} as const satisfies Route;
