// What a restored store must know before anybody asks it: which instances may be newer than itself, and
// that no bootstrap token of before the backup is worth anything. Works on a store that nobody serves.

import type { Clock } from '#shared/clock.ts';
import { COORDINATOR } from '../events/records.ts';
import { isLive } from '../nodes/lifecycle.ts';
import { records as openRecords, type Records } from '../records.ts';
import { ABSENT, type Change, commitAll } from '../store/collection.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { openStamp } from '../upgrade/stamp.ts';
import type { BackupHeader } from './format.ts';

export interface Aftermath {
  /** Live instances, each of which has to show what it has before it is told anything. */
  readonly instances: number;
  /** Tokens that were open in the backup, and are revoked. */
  readonly tokens: number;
}

const AT_ONCE = 50;

/**
 * Idempotent, but for its event. A token of the backup may have been used since then, and would let in
 * whoever has read it.
 */
export async function afterRestore(
  path: string,
  header: BackupHeader,
  clock: Clock,
): Promise<Aftermath> {
  const store = sqliteStore({ path });
  try {
    const records = openRecords(store, clock);
    await openStamp(records, clock);
    const returns: Change[] = [];
    for await (const { id, record } of records.instances.all()) {
      if (!isLive(record.state)) continue;
      const found = await records.returns.get(id);
      const wanted = { history: header.history, generation: record.generation, ahead: null };
      returns.push(records.returns.put(id, wanted, found?.revision ?? ABSENT));
    }
    const tokens = await revokeOpenTokens(records, clock.now());
    const aftermath = { instances: returns.length, tokens: tokens.length };
    const event = records.events.tell({
      actor: COORDINATOR,
      kind: 'coordinator.restored',
      subject: 'coordinator',
      text: `restored from a backup of ${header.at}, revision ${header.revision}`,
      details: { history: header.history, revision: header.revision, ...aftermath },
    });
    const changes = [...returns, ...tokens, event];
    for (let at = 0; at < changes.length; at += AT_ONCE)
      await commitAll(store, changes.slice(at, at + AT_ONCE));
    return aftermath;
  } finally {
    await store.close();
  }
}

async function revokeOpenTokens({ tokens }: Records, now: number): Promise<Change[]> {
  const changes: Change[] = [];
  for await (const { id, record, revision } of tokens.all())
    if (record.revokedAt === null && record.used === null && record.expiresAt > now)
      changes.push(tokens.put(id, { ...record, revokedAt: now }, revision));
  return changes;
}
