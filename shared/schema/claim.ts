// A claim: a machine that nobody registered asks to be let in, under a code that it shows on its
// console and an operator approves.

import { z } from 'zod';
import { Digest } from '../digest.ts';
import { Facts } from './facts.ts';
import { InstanceId, NodeName, Timestamp } from './ids.ts';

/** Crockford's Base32: 32 digits and letters without I, L, O and U, which look like others. */
export const CLAIM_ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** What a person may type for a code: any case, with or without dashes, O for 0, I and L for 1. */
function canonical(text: string): string {
  const digits = text.toUpperCase().replace(/[\s-]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1');
  return digits.length === 8 ? `${digits.slice(0, 4)}-${digits.slice(4)}` : text;
}

/** XXXX-XXXX: 40 random bits. */
export const ClaimCode = z
  .string()
  .max(32)
  .overwrite(canonical)
  .regex(/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/, 'a code like 7K3M-Q2XT')
  .brand<'ClaimCode'>();
export type ClaimCode = z.infer<typeof ClaimCode>;

export const ClaimState = z.enum(['open', 'approved', 'denied']);
export type ClaimState = z.infer<typeof ClaimState>;

/** Why a machine is not let in by itself. */
export const ClaimWait = z.object({
  /**
   * unknown: nobody registered it; ambiguous: several nodes are registered with what it shows; enrolled:
   * a machine is that node already, and no boot is ordered; ended: that node has no instance that could
   * take it; told-otherwise: it was told to be another one; person: a person is wanted in each case.
   */
  why: z.enum(['unknown', 'ambiguous', 'enrolled', 'ended', 'told-otherwise', 'person']),
  /** Which nodes it may be. */
  nodes: z.array(NodeName).max(8),
  text: z.string().max(512),
  /** What to run or change next; CODE stands for the code. */
  hint: z.string().max(512),
});
export type ClaimWait = z.infer<typeof ClaimWait>;

/** As operators see it. */
export const Claim = z.object({
  code: ClaimCode,
  state: ClaimState,
  /** SHA-256 of the public key (SPKI, DER): the machine shows the same one. */
  key: Digest,
  /** From where it was asked. */
  address: z.string(),
  /** Which instance the machine was told to be, if any. Not proven. */
  instance: InstanceId.nullable(),
  facts: Facts,
  /** While it is open. */
  waits: ClaimWait.nullable().default(null),
  createdAt: Timestamp,
  /** An open one can be approved until then, an approved one be used. */
  expiresAt: Timestamp,
  decision: z
    .object({
      by: z.string(),
      at: Timestamp,
      /** Of an approval. */
      node: NodeName.nullable(),
      instance: InstanceId.nullable(),
      /** By which the coordinator knew it; null where a person answered. */
      identifier: z.string().nullable().default(null),
    })
    .nullable(),
});
export type Claim = z.infer<typeof Claim>;

/** As the machine sees its own. */
export const ClaimStatus = z.object({
  code: ClaimCode,
  state: z.enum(['open', 'approved']),
  /** Once approved: what to enroll as, with the claim's secret in the place of a token. */
  instance: InstanceId.nullable(),
  /** In one word, for the console: `why` of what it waits for. Names no node: anybody may ask. */
  waits: z
    .string()
    .regex(/^[a-z-]{1,32}$/)
    .nullable()
    .default(null),
  expiresAt: Timestamp,
  pollSeconds: z.int().positive(),
});
export type ClaimStatus = z.infer<typeof ClaimStatus>;
