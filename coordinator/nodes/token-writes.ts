// Changes of bootstrap tokens: made by operators, made for a network boot, revoked. What a token may
// be used for is judged in tokens.ts.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId, TokenId } from '#shared/schema/ids.ts';
import { COORDINATOR } from '../events/records.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change, type Found } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { mayEnroll } from './lifecycle.ts';
import type { InstanceRecord } from './records.ts';
import { newToken, TOKEN_TTL_MS, type TokenRecord } from './tokens.ts';

/** Of one instance at a time; more would only be more to lose. */
const OPEN_MAX = 8;

export interface MadeToken {
  readonly record: TokenRecord;
  readonly secret: string;
}

/** CONFLICT when the instance has ended or has 8 open tokens; NOT_FOUND. */
export async function createToken(
  records: Records,
  actor: string,
  wanted: { readonly instance: InstanceId; readonly ttlMs: number },
): Promise<MadeToken> {
  const { instance, ttlMs } = wanted;
  const made = await transact(records.store, `instance ${instance}`, async () => {
    const found = await enrollable(records, instance);
    const token = newToken({ instance, ttlMs, createdBy: actor, now: records.clock.now() });
    const open = await withOpenToken(records, found.record, token.record.id);
    const next = { ...found.record, openTokens: open };
    return {
      changes: [
        records.instances.put(instance, next, found.revision),
        ...tokenChanges(records, actor, token),
      ],
      result: () => token,
    };
  });
  return made as MadeToken;
}

/** The open tokens of an instance with one more. CONFLICT when it has 8. */
export async function withOpenToken(
  records: Records,
  instance: InstanceRecord,
  id: TokenId,
): Promise<TokenId[]> {
  const open = await openTokens(records, instance);
  if (open.length >= OPEN_MAX)
    throw new BilletError('CONFLICT', `${instance.id} has ${OPEN_MAX} open tokens`, {
      hint: `billet token list --instance ${instance.id}, then billet token revoke ID`,
    });
  return [...open.map((token) => token.id), id];
}

/**
 * The token of a network boot that was ordered; the unused one that an earlier try of the same boot
 * got is revoked. Null when no boot is ordered.
 */
export async function createBootToken(
  records: Records,
  instance: InstanceId,
): Promise<MadeToken | null> {
  return transact(records.store, `instance ${instance}`, async () => {
    const found = await records.instances.get(instance);
    if (!found?.record.boot.ordered || !mayEnroll(found.record.state)) return null;
    const { boot } = found.record;
    const now = records.clock.now();
    const token = newToken({ instance, ttlMs: TOKEN_TTL_MS, createdBy: COORDINATOR, now });
    const open = await openTokens(records, found.record);
    const kept = open.map(({ id }) => id).filter((id) => id !== boot.token);
    const next = {
      ...found.record,
      boot: { ordered: true, token: token.record.id },
      openTokens: [...kept, token.record.id],
    };
    return {
      changes: [
        records.instances.put(instance, next, found.revision),
        ...tokenChanges(records, COORDINATOR, token),
        ...(boot.token === null ? [] : await revokeTokenChanges(records, boot.token)),
      ],
      result: () => token,
    };
  });
}

/** Idempotent; a used or expired token is revoked too, so that it is not accepted again. NOT_FOUND. */
export async function revokeToken(
  records: Records,
  actor: string,
  id: TokenId,
): Promise<TokenRecord> {
  const revoked = await transact(records.store, `token ${id}`, async () => {
    const found = (await records.tokens.get(id)) ?? noToken(id);
    if (found.record.revokedAt !== null) return null;
    const next = { ...found.record, revokedAt: records.clock.now() };
    return {
      changes: [
        records.tokens.put(id, next, found.revision),
        records.events.tell({
          actor,
          kind: 'token.revoked',
          subject: `instance/${next.instance}`,
          text: `token ${id} was revoked`,
          details: { token: id },
        }),
      ],
      result: () => next,
    };
  });
  return revoked ?? ((await records.tokens.get(id)) ?? noToken(id)).record;
}

/** Part of a commit: revokes a token that was not used. Empty when there is nothing to revoke. */
export async function revokeTokenChanges(
  records: Records,
  id: TokenId,
): Promise<readonly Change[]> {
  const found = await records.tokens.get(id);
  if (!found || found.record.used !== null || found.record.revokedAt !== null) return [];
  const next = { ...found.record, revokedAt: records.clock.now() };
  return [records.tokens.put(id, next, found.revision)];
}

/** Those of an instance that may still be used. */
export async function openTokens(
  records: Records,
  instance: InstanceRecord,
): Promise<readonly TokenRecord[]> {
  const now = records.clock.now();
  const found = await Promise.all(instance.openTokens.map((id) => records.tokens.get(id)));
  return found.flatMap((one) => {
    const isOpen = one?.record.used === null && one.record.revokedAt === null;
    return one && isOpen && one.record.expiresAt > now ? [one.record] : [];
  });
}

async function enrollable(records: Records, id: InstanceId): Promise<Found<InstanceRecord>> {
  const found = await records.instances.get(id);
  if (!found)
    throw new BilletError('NOT_FOUND', `no instance ${id}`, { hint: 'billet instance list' });
  if (!mayEnroll(found.record.state))
    throw new BilletError('CONFLICT', `${id} is ${found.record.state}`, {
      hint: `billet instance create ${found.record.node}`,
      details: { state: found.record.state },
    });
  return found;
}

const tokenChanges = (
  records: Records,
  actor: string,
  { record }: MadeToken,
): readonly Change[] => [
  records.tokens.put(record.id, record, ABSENT),
  records.events.tell({
    actor,
    kind: 'token.created',
    subject: `instance/${record.instance}`,
    text: `token ${record.id} was made`,
    details: { token: record.id },
  }),
];

function noToken(id: TokenId): never {
  throw new BilletError('NOT_FOUND', `no token ${id}`, { hint: 'billet token list' });
}
