// Credentials, events, the CA, and the coordinator's own state.

import { z } from 'zod';
import { Digest } from '../digest.ts';
import { CredentialName } from '../schema/ids.ts';
import { CaState, Credential, Event, Role } from '../schema/records.ts';
import { empty, none, pageOf, pageQuery } from './common.ts';
import type { Route } from './route.ts';

export const createCredential = {
  method: 'POST',
  path: '/v1/credentials',
  caller: 'admin',
  summary: 'Make a credential for a person or a program; its secret is shown once',
  params: none,
  query: none,
  body: z.strictObject({ name: CredentialName, role: Role }),
  reply: z.object({ credential: Credential, secret: z.string() }),
  status: 201,
} as const satisfies Route;

export const listCredentials = {
  method: 'GET',
  path: '/v1/credentials',
  caller: 'admin',
  summary: 'List credentials',
  params: none,
  query: pageQuery,
  body: none,
  reply: pageOf(Credential),
} as const satisfies Route;

export const deleteCredential = {
  method: 'DELETE',
  path: '/v1/credentials/{name}',
  caller: 'admin',
  summary: 'Delete a credential',
  params: z.strictObject({ name: CredentialName }),
  query: none,
  body: empty,
  reply: empty,
} as const satisfies Route;

/** Server-sent events: id is the revision; Last-Event-ID or `after` resumes; COMPACTED ends it. */
export const watchEvents = {
  method: 'GET',
  path: '/v1/events',
  caller: 'viewer',
  summary: 'Watch what happens, from a revision on',
  params: none,
  query: z.strictObject({
    after: z.coerce.number().int().nonnegative().optional(),
    /** Without it the stream ends with the newest event. */
    follow: z.stringbool().default(false),
    subject: z.string().max(256).optional(),
  }),
  body: none,
  reply: Event,
  form: 'events',
  headers: ['last-event-id'],
} as const satisfies Route;

export const getStatus = {
  method: 'GET',
  path: '/v1/status',
  caller: 'viewer',
  summary: 'Count nodes, instances by state, connections and open tasks',
  params: none,
  query: none,
  body: none,
  reply: z.object({
    version: z.string(),
    history: z.string(),
    revision: z.int().nonnegative(),
    ca: Digest,
    nodes: z.int().nonnegative(),
    instances: z.record(z.string(), z.int().nonnegative()),
    connected: z.int().nonnegative(),
    openTasks: z.int().nonnegative(),
    /** Instances that are newer than a restored backup, and wait to be accepted. */
    ahead: z.int().nonnegative().default(0),
    /** Signals that are not resolved. */
    openSignals: z.int().nonnegative().default(0),
    /** Machines that wait to be let in. */
    openClaims: z.int().nonnegative().default(0),
    /** Instances whose node refused its install plan, or shows it only, and waits for a person. */
    waitingInstalls: z.int().nonnegative().default(0),
  }),
} as const satisfies Route;

export const getCa = {
  method: 'GET',
  path: '/v1/ca',
  caller: 'anyone',
  summary: 'Get the CA certificates that are trusted as PEM, the one that issues first',
  params: none,
  query: none,
  body: none,
  reply: z.string(),
  form: 'text',
} as const satisfies Route;

export const getCrl = {
  method: 'GET',
  path: '/v1/ca/crl',
  caller: 'anyone',
  summary: 'Get the certificate revocation list of each CA as PEM (RFC 5280)',
  params: none,
  query: none,
  body: none,
  reply: z.string(),
  form: 'text',
} as const satisfies Route;

export const getCaState = {
  method: 'GET',
  path: '/v1/ca/state',
  caller: 'viewer',
  summary: 'Show the CAs, and which instances a rotation waits for',
  params: none,
  query: none,
  body: none,
  reply: CaState,
} as const satisfies Route;

export const rotateCa = {
  method: 'POST',
  path: '/v1/ca/rotate',
  caller: 'admin',
  summary: 'Let a new CA issue; the one before is trusted until it is retired',
  params: none,
  query: none,
  body: empty,
  reply: CaState,
} as const satisfies Route;

export const retireCa = {
  method: 'POST',
  path: '/v1/ca/retire',
  caller: 'admin',
  summary: 'End the rotation: the previous CA is trusted no more, and its key deleted',
  params: none,
  query: none,
  body: z.strictObject({
    /** Although instances depend on it: each of them then needs a token. */
    force: z.boolean().default(false),
  }),
  reply: CaState,
} as const satisfies Route;

export const getHealth = {
  method: 'GET',
  path: '/healthz',
  caller: 'anyone',
  summary: 'Say whether the process lives',
  params: none,
  query: none,
  body: none,
  reply: z.object({ status: z.literal('ok') }),
} as const satisfies Route;

export const getReady = {
  method: 'GET',
  path: '/readyz',
  caller: 'anyone',
  summary: 'Say whether requests are served',
  params: none,
  query: none,
  body: none,
  reply: z.object({ status: z.literal('ok') }),
} as const satisfies Route;

export const getOpenapi = {
  method: 'GET',
  path: '/openapi.json',
  caller: 'anyone',
  summary: 'Get this API as OpenAPI 3.1',
  params: none,
  query: none,
  body: none,
  reply: z.looseObject({ openapi: z.string() }),
} as const satisfies Route;
