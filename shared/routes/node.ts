// The node side: what an agent may ask of the coordinator. Unknown keys are ignored both ways.

import { z } from 'zod';
import { Envelope } from '../schema/desired.ts';
import { Facts } from '../schema/facts.ts';
import { Heartbeat, HeartbeatReply } from '../schema/heartbeat.ts';
import { BootstrapToken } from '../schema/identity.ts';
import { InstanceId, TaskId, Timestamp } from '../schema/ids.ts';
import { InstallReport } from '../schema/install-report.ts';
import { LeasedTask, TaskOutcome, TaskState } from '../schema/task.ts';
import { Csr, empty, none } from './common.ts';
import type { Route } from './route.ts';

const Issued = z.object({
  /** PEM of the node's certificate. */
  certificate: z.string(),
  /** PEM of the CA certificate; two while the CA is rotated. */
  ca: z.string(),
  notAfter: Timestamp,
  /** History id of the coordinator's store. */
  history: z.string(),
});

export const enroll = {
  method: 'POST',
  path: '/v1/enroll',
  caller: 'anyone',
  summary:
    'Trade a bootstrap token and a CSR for a certificate; safe to send again with the same key',
  params: none,
  query: none,
  body: z.object({ instance: InstanceId, token: BootstrapToken, csr: Csr, facts: Facts }),
  reply: Issued,
  status: 201,
} as const satisfies Route;

export const renewCertificate = {
  method: 'POST',
  path: '/v1/node/renew',
  caller: 'node',
  summary: 'Get the next certificate for a CSR; also for 90 days after the old one ran out',
  params: none,
  query: none,
  body: z.object({ csr: Csr, facts: Facts.optional() }),
  reply: Issued,
  status: 201,
} as const satisfies Route;

export const getDesired = {
  method: 'GET',
  path: '/v1/node/desired',
  caller: 'node',
  summary: 'Get the desired state; with If-None-Match and wait, only once it changes',
  params: none,
  query: z.object({ wait: z.coerce.number().int().min(0).max(60).default(0) }),
  body: none,
  reply: z.object({
    envelope: Envelope,
    /** Generations that this instance could not run. */
    rejected: z.array(z.int().positive()).max(64),
    /** The newest generation that was seen ready, to go back to; null before the first. */
    good: Envelope.nullable(),
  }),
  headers: ['if-none-match'],
  etag: true,
} as const satisfies Route;

export const heartbeat = {
  method: 'POST',
  path: '/v1/node/heartbeat',
  caller: 'node',
  summary: 'Report the state of the node; the fallback of the channel',
  params: none,
  query: none,
  body: Heartbeat,
  reply: HeartbeatReply,
} as const satisfies Route;

/** Sent at each step, and again while one runs; safe to send again. */
export const reportInstall = {
  method: 'POST',
  path: '/v1/node/install',
  caller: 'node',
  summary: 'Report how an installation comes on, or why it cannot; safe to send again',
  params: none,
  query: none,
  body: InstallReport,
  reply: empty,
  bodyBytesMax: 448 * 1024,
} as const satisfies Route;

export const channel = {
  method: 'GET',
  path: '/v1/node/channel',
  caller: 'node',
  summary: 'Open the WebSocket of heartbeats (up) and nudges (down)',
  params: none,
  query: none,
  body: none,
  reply: none,
  form: 'socket',
} as const satisfies Route;

export const leaseTasks = {
  method: 'POST',
  path: '/v1/node/tasks/lease',
  caller: 'node',
  summary: 'Lease tasks that wait for this node',
  params: none,
  query: none,
  body: z.object({
    max: z.int().min(1).max(16).default(1),
    /** Of the boot that asks, and holds no task: a lease whose reply got lost is given to it again. */
    bootId: z.uuid().optional(),
  }),
  reply: z.object({ tasks: z.array(LeasedTask) }),
} as const satisfies Route;

const taskParams = z.strictObject({ id: TaskId });

export const renewTask = {
  method: 'POST',
  path: '/v1/node/tasks/{id}/renew',
  caller: 'node',
  summary: 'Hold a lease for longer',
  params: taskParams,
  query: none,
  body: z.object({ epoch: z.int().positive() }),
  /** cancelled: an operator has taken the task back; stop if it can be stopped. */
  reply: z.object({ leaseSeconds: z.int().positive(), cancelled: z.boolean() }),
} as const satisfies Route;

export const reportTask = {
  method: 'POST',
  path: '/v1/node/tasks/{id}/report',
  caller: 'node',
  summary: 'Report the end of a leased task; safe to send again',
  params: taskParams,
  query: none,
  body: z.object({ epoch: z.int().positive(), result: TaskOutcome }),
  reply: z.object({ state: TaskState }),
  bodyBytesMax: 512 * 1024,
} as const satisfies Route;
