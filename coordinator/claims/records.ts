// What the coordinator stores of claims, and how it becomes what operators and machines see. Decides
// nothing.

import { z } from 'zod';
import { Digest } from '#shared/digest.ts';
import {
  type Claim,
  ClaimCode,
  ClaimState,
  type ClaimStatus,
  ClaimWait,
} from '#shared/schema/claim.ts';
import { Facts } from '#shared/schema/facts.ts';
import { InstanceId, NodeName, TokenId } from '#shared/schema/ids.ts';
import { isoTime } from '../ids.ts';
import { collection } from '../store/collection.ts';
import type { Migrations } from '../store/record.ts';
import type { Store } from '../store/store.ts';
import { POLL_SECONDS } from './rules.ts';

/** Unix milliseconds. */
const Moment = z.int().nonnegative();
/** SHA-256 of the machine's secret, hex; the secret itself is nowhere. */
const Hash = z.string().length(64);

export const ClaimRecord = z.strictObject({
  code: ClaimCode,
  state: ClaimState,
  /** SHA-256 of the SPKI, as tokens name keys. */
  key: Digest,
  hash: Hash,
  /** What the secret is as a token. */
  token: TokenId,
  address: z.string().max(64),
  instance: InstanceId.nullable(),
  facts: Facts,
  /** While it is open; null in one that an older version made. */
  waits: ClaimWait.nullable(),
  createdAt: Moment,
  expiresAt: Moment,
  decision: z
    .strictObject({
      by: z.string().max(128),
      at: Moment,
      node: NodeName.nullable(),
      instance: InstanceId.nullable(),
      identifier: z.string().max(128).nullable(),
    })
    .nullable(),
});
export type ClaimRecord = z.infer<typeof ClaimRecord>;

/** Every claim in few bytes, in one record: so that their number is bounded by compare-and-set. */
const ClaimIndex = z.strictObject({
  claims: z.array(
    z.strictObject({
      code: ClaimCode,
      key: Digest,
      hash: Hash,
      state: ClaimState,
      expiresAt: Moment,
    }),
  ),
});

export const INDEX = 'all';

const Answered = z.looseObject({ decision: z.looseObject({}).nullable() });

/** Version 1 knew only persons who answered, and no reason to wait for them. */
const CLAIM_MIGRATIONS: Migrations = {
  1(old) {
    const { decision, ...rest } = Answered.parse(old);
    return { ...rest, waits: null, decision: decision && { ...decision, identifier: null } };
  },
};

export const claimRecords = (store: Store) => ({
  claims: collection(store, {
    prefix: 'claims',
    schema: ClaimRecord,
    id: ClaimCode,
    version: 2,
    migrations: CLAIM_MIGRATIONS,
  }),
  claimIndex: collection(store, {
    prefix: 'claim-index',
    schema: ClaimIndex,
    id: z.literal(INDEX),
    version: 1,
  }),
});

export const claimView = (record: ClaimRecord): Claim => ({
  code: record.code,
  state: record.state,
  key: record.key,
  address: record.address,
  instance: record.instance,
  facts: record.facts,
  waits: record.state === 'open' ? record.waits : null,
  createdAt: isoTime(record.createdAt),
  expiresAt: isoTime(record.expiresAt),
  decision: record.decision && { ...record.decision, at: isoTime(record.decision.at) },
});

export const claimStatus = (record: ClaimRecord): ClaimStatus => ({
  code: record.code,
  state: record.state === 'approved' ? 'approved' : 'open',
  instance: record.decision?.instance ?? null,
  waits: record.state === 'open' ? (record.waits?.why ?? null) : null,
  expiresAt: isoTime(record.expiresAt),
  pollSeconds: POLL_SECONDS,
});
