// Taking a node out of service and back, as operators do it. Bodies are strict.

import { z } from 'zod';
import { DrainOrder } from '../schema/drain.ts';
import { InstanceId } from '../schema/ids.ts';
import { Instance } from '../schema/records.ts';
import { empty, none } from './common.ts';
import type { Route } from './route.ts';

const instanceParams = z.strictObject({ id: InstanceId });

export const drainInstance = {
  method: 'POST',
  path: '/v1/instances/{id}/drain',
  caller: 'operator',
  summary: 'Let nothing new come to an instance, and take off it what runs; safe to send again',
  params: instanceParams,
  query: none,
  body: DrainOrder.default({ cordonOnly: false, timeoutSeconds: 600 }),
  reply: Instance,
} as const satisfies Route;

export const cancelDrain = {
  method: 'POST',
  path: '/v1/instances/{id}/drain/cancel',
  caller: 'operator',
  summary: 'Stop a drain on its way; the instance stays cordoned until it is uncordoned',
  params: instanceParams,
  query: none,
  body: empty,
  reply: Instance,
} as const satisfies Route;

export const uncordonInstance = {
  method: 'POST',
  path: '/v1/instances/{id}/uncordon',
  caller: 'operator',
  summary: 'Take a drain back: the instance takes up its work again',
  params: instanceParams,
  query: none,
  body: empty,
  reply: Instance,
} as const satisfies Route;
