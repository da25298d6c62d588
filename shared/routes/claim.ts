// Claims: how a machine without a token asks to be let in, and how an operator answers. Bodies of
// machines ignore unknown keys, those of operators are strict.

import { z } from 'zod';
import { Claim, ClaimCode, ClaimStatus } from '../schema/claim.ts';
import { Facts } from '../schema/facts.ts';
import { BootstrapToken } from '../schema/identity.ts';
import { InstanceId, NodeName } from '../schema/ids.ts';
import { Csr, empty, none, pageOf, pageQuery } from './common.ts';
import type { Route } from './route.ts';

const claimParams = z.strictObject({ code: ClaimCode });

/** The subject of the CSR is empty; the secret has the form of a token, and becomes one. */
export const openClaim = {
  method: 'POST',
  path: '/v1/claims',
  caller: 'anyone',
  summary: 'Ask to be claimed, without a token; the same key and secret again get the same code',
  params: none,
  query: none,
  body: z.object({
    secret: BootstrapToken,
    csr: Csr,
    facts: Facts,
    /** Which instance the machine was told to be, if any. */
    instance: InstanceId.optional(),
  }),
  reply: ClaimStatus,
  status: 201,
} as const satisfies Route;

export const pollClaim = {
  method: 'POST',
  path: '/v1/claims/poll',
  caller: 'anyone',
  summary: 'Ask what became of a claim, with the secret that only its machine has',
  params: none,
  query: none,
  body: z.object({ code: ClaimCode, secret: BootstrapToken }),
  reply: ClaimStatus,
} as const satisfies Route;

export const listClaims = {
  method: 'GET',
  path: '/v1/claims',
  caller: 'viewer',
  summary: 'List claims: open ones, and those that were answered in the last hour',
  params: none,
  query: pageQuery,
  body: none,
  reply: pageOf(Claim),
} as const satisfies Route;

export const getClaim = {
  method: 'GET',
  path: '/v1/claims/{code}',
  caller: 'viewer',
  summary: 'Show one claim, to compare it with the machine',
  params: claimParams,
  query: none,
  body: none,
  reply: Claim,
} as const satisfies Route;

export const approveClaim = {
  method: 'POST',
  path: '/v1/claims/{code}/approve',
  caller: 'operator',
  summary: 'Let the machine be a node; makes the instance if the node has none',
  params: claimParams,
  query: none,
  body: z.strictObject({
    node: NodeName,
    /** Also where another machine (or this one, with another key) has enrolled as the instance. */
    replace: z.boolean().default(false),
  }),
  reply: Claim,
} as const satisfies Route;

export const denyClaim = {
  method: 'POST',
  path: '/v1/claims/{code}/deny',
  caller: 'operator',
  summary: 'Refuse a claim; its key is refused for a quarter of an hour',
  params: claimParams,
  query: none,
  body: empty,
  reply: Claim,
} as const satisfies Route;
