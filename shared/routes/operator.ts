// Nodes, instances and tokens as operators work with them. Bodies are strict.

import { z } from 'zod';
import { Digest } from '../digest.ts';
import { InstanceId, NodeName, ResourceName, Serial, TokenId } from '../schema/ids.ts';
import { Instance, InstanceState, Node, NodeSpec, Token } from '../schema/records.ts';
import { empty, none, pageOf, pageQuery } from './common.ts';
import type { Route } from './route.ts';

const nodeParams = z.strictObject({ name: NodeName });
const instanceParams = z.strictObject({ id: InstanceId });

export const createNode = {
  method: 'POST',
  path: '/v1/nodes',
  caller: 'operator',
  summary: 'Create a node; the same request again returns the same node',
  params: none,
  query: none,
  body: z.strictObject({
    name: NodeName,
    spec: NodeSpec,
    /** The set of documents that it is of, for `billet apply --prune`. */
    set: ResourceName.nullable().default(null),
  }),
  reply: Node,
  status: 201,
  bodyBytesMax: 256 * 1024,
  etag: true,
} as const satisfies Route;

export const listNodes = {
  method: 'GET',
  path: '/v1/nodes',
  caller: 'viewer',
  summary: 'List nodes',
  params: none,
  query: pageQuery.extend({ set: ResourceName.optional() }),
  body: none,
  reply: pageOf(Node),
} as const satisfies Route;

export const getNode = {
  method: 'GET',
  path: '/v1/nodes/{name}',
  caller: 'viewer',
  summary: 'Show one node',
  params: nodeParams,
  query: none,
  body: none,
  reply: Node,
  etag: true,
} as const satisfies Route;

/** With If-Match, only when the node is still at that revision. */
export const putNodeSpec = {
  method: 'PUT',
  path: '/v1/nodes/{name}/spec',
  caller: 'operator',
  summary: 'Change what a node should be; its instance gets a new generation',
  params: nodeParams,
  query: none,
  body: NodeSpec,
  reply: Node,
  bodyBytesMax: 256 * 1024,
  headers: ['if-match'],
  etag: true,
} as const satisfies Route;

export const deleteNode = {
  method: 'DELETE',
  path: '/v1/nodes/{name}',
  caller: 'operator',
  summary: 'Delete a node that has no live instance',
  params: nodeParams,
  query: none,
  body: empty,
  reply: empty,
} as const satisfies Route;

export const createInstance = {
  method: 'POST',
  path: '/v1/nodes/{name}/instances',
  caller: 'operator',
  summary: 'Create the instance of a node and order its first boot',
  params: nodeParams,
  query: none,
  body: empty,
  reply: Instance,
  status: 201,
} as const satisfies Route;

export const listInstances = {
  method: 'GET',
  path: '/v1/instances',
  caller: 'viewer',
  summary: 'List instances',
  params: none,
  query: pageQuery.extend({ node: NodeName.optional(), state: InstanceState.optional() }),
  body: none,
  reply: pageOf(Instance),
} as const satisfies Route;

export const getInstance = {
  method: 'GET',
  path: '/v1/instances/{id}',
  caller: 'viewer',
  summary: 'Show one instance',
  params: instanceParams,
  query: none,
  body: none,
  reply: Instance,
} as const satisfies Route;

export const orderBoot = {
  method: 'POST',
  path: '/v1/instances/{id}/boot',
  caller: 'operator',
  summary: 'Let the next network boot of an instance have a token',
  params: instanceParams,
  query: none,
  body: empty,
  reply: Instance,
} as const satisfies Route;

export const terminateInstance = {
  method: 'POST',
  path: '/v1/instances/{id}/terminate',
  caller: 'operator',
  summary: 'End an instance: certificates revoked, tokens and tasks closed, its machine destroyed',
  params: instanceParams,
  query: none,
  body: z
    .strictObject({
      /** Also when it runs and was not drained. */
      force: z.boolean().default(false),
      /** Also when its provider cannot prove that the machine is gone: it stays as a leftover. */
      abandon: z.boolean().default(false),
    })
    .default({ force: false, abandon: false }),
  reply: Instance,
} as const satisfies Route;

export const revokeCertificate = {
  method: 'DELETE',
  path: '/v1/certificates/{serial}',
  caller: 'operator',
  summary: 'Revoke a certificate; its open connections end at once',
  params: z.strictObject({ serial: Serial }),
  query: none,
  body: z.strictObject({ reason: z.string().max(256).default('') }).default({ reason: '' }),
  reply: z.object({ serial: Serial, instance: InstanceId }),
} as const satisfies Route;

export const createToken = {
  method: 'POST',
  path: '/v1/tokens',
  caller: 'operator',
  summary: 'Make a bootstrap token for one instance; it is shown once',
  params: none,
  query: none,
  body: z.strictObject({
    instance: InstanceId,
    ttlSeconds: z
      .int()
      .min(60)
      .max(24 * 3600)
      .default(24 * 3600),
  }),
  /** With what a machine needs beside it. */
  reply: z.object({ token: Token, secret: z.string(), coordinator: z.string(), ca: Digest }),
  status: 201,
} as const satisfies Route;

export const listTokens = {
  method: 'GET',
  path: '/v1/tokens',
  caller: 'viewer',
  summary: 'List bootstrap tokens',
  params: none,
  query: pageQuery.extend({ instance: InstanceId.optional() }),
  body: none,
  reply: pageOf(Token),
} as const satisfies Route;

export const revokeToken = {
  method: 'DELETE',
  path: '/v1/tokens/{id}',
  caller: 'operator',
  summary: 'Revoke a bootstrap token',
  params: z.strictObject({ id: TokenId }),
  query: none,
  body: empty,
  reply: Token,
} as const satisfies Route;
