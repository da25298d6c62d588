// Bootstrap tokens: what they are in the store, and what may become of them. The rules are pure
// functions of a record and a time.

import { z } from 'zod';
import { CLOCK_SKEW_MS } from '#shared/certificate.ts';
import { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { InstanceId, Serial, TokenId } from '#shared/schema/ids.ts';
import type { Token } from '#shared/schema/records.ts';
import { hashSecret, isoTime, newSecret, secretMatches, tokenIdOf } from '../ids.ts';
import { collection } from '../store/collection.ts';
import type { Store } from '../store/store.ts';

const Moment = z.int().nonnegative();
export const TOKEN_TTL_MS = 24 * 3_600_000;

export const TokenRecord = z.strictObject({
  id: TokenId,
  instance: InstanceId,
  /** SHA-256 of the secret, hex. */
  hash: z.string().length(64),
  createdAt: Moment,
  createdBy: z.string().max(128),
  expiresAt: Moment,
  /** The one key (SHA-256 of its SPKI) that may use it; null for whichever comes first. */
  key: Digest.nullable(),
  /** By which key (SHA-256 of its SPKI), and the certificate that it got. */
  used: z
    .strictObject({
      key: Digest,
      at: Moment,
      serial: Serial,
      notAfter: Moment,
      certificate: z.string().max(8192),
    })
    .nullable(),
  revokedAt: Moment.nullable(),
});
export type TokenRecord = z.infer<typeof TokenRecord>;

export const tokenRecords = (store: Store) =>
  collection(store, {
    prefix: 'tokens',
    schema: TokenRecord,
    id: TokenId,
    version: 2,
    migrations: { 1: (old) => ({ ...(old as object), key: null }) },
  });

/** A new token and its secret, which is in no other place. */
export function newToken(wanted: {
  readonly instance: InstanceId;
  readonly createdBy: string;
  readonly now: number;
  readonly ttlMs: number;
}): { readonly record: TokenRecord; readonly secret: string } {
  const secret = newSecret();
  const record: TokenRecord = {
    id: tokenIdOf(secret),
    instance: wanted.instance,
    hash: hashSecret(secret),
    createdAt: wanted.now,
    createdBy: wanted.createdBy,
    expiresAt: wanted.now + wanted.ttlMs,
    key: null,
    used: null,
    revokedAt: null,
  };
  return { record, secret };
}

export interface TokenUse {
  readonly secret: string;
  readonly instance: InstanceId;
  readonly key: Digest;
}

/**
 * Using the token with that key: null for its first use, what it got for the same one again. Throws
 * TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_USED.
 */
export function judgeToken(
  token: TokenRecord | null,
  use: TokenUse,
  now: number,
): TokenRecord['used'] {
  const fits =
    token !== null &&
    secretMatches(use.secret, token.hash) &&
    token.instance === use.instance &&
    (token.key ?? use.key) === use.key;
  if (!fits || token.revokedAt !== null)
    throw new BilletError('TOKEN_INVALID', `no such token for ${use.instance}`, {
      hint: `billet token create ${use.instance}, or \`billet instance boot ${use.instance}\` for a network boot`,
    });
  if (token.expiresAt <= now)
    throw new BilletError(
      'TOKEN_EXPIRED',
      `token ${token.id} ran out at ${isoTime(token.expiresAt)}`,
      {
        hint: `billet token create ${use.instance}`,
      },
    );
  // It would live for as much longer as the clock was ahead when it was made.
  if (token.used === null && token.createdAt > now + CLOCK_SKEW_MS)
    throw new BilletError(
      'TOKEN_EXPIRED',
      `token ${token.id} was made at ${isoTime(token.createdAt)}, when the clock here was ahead`,
      { hint: `billet token create ${use.instance}` },
    );
  if (token.used === null || token.used.key === use.key) return token.used;
  throw new BilletError('TOKEN_USED', `another key has used token ${token.id}`, {
    hint: `if that was not this machine, revoke certificate ${token.used.serial}; then billet token create ${use.instance}`,
    details: { token: token.id },
  });
}

export function tokenView(record: TokenRecord, now: number): Token {
  const { id, instance, createdBy } = record;
  return {
    id,
    instance,
    createdBy,
    createdAt: isoTime(record.createdAt),
    expiresAt: isoTime(record.expiresAt),
    state: stateOf(record, now),
  };
}

function stateOf(record: TokenRecord, now: number): Token['state'] {
  if (record.revokedAt !== null) return 'revoked';
  if (record.used !== null) return 'used';
  return record.expiresAt <= now ? 'expired' : 'open';
}
