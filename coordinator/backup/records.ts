// What a restored store keeps of instances whose nodes may be newer than itself, and how operators see
// it. Decides nothing.

import { z } from 'zod';
import type { Condition } from '#shared/schema/heartbeat.ts';
import { InstanceId } from '#shared/schema/ids.ts';
import type { Instance } from '#shared/schema/records.ts';
import { isoTime } from '../ids.ts';
import { collection } from '../store/collection.ts';
import type { Store } from '../store/store.ts';

export const ReturnRecord = z.strictObject({
  history: z.string().min(1).max(64),
  generation: z.int().positive(),
  /** What its node has shown that the store does not have; null before. */
  ahead: z
    .strictObject({ generation: z.int().positive(), since: z.int().nonnegative() })
    .nullable(),
});
export type ReturnRecord = z.infer<typeof ReturnRecord>;

export const returnRecords = (store: Store) => ({
  returns: collection(store, {
    prefix: 'returns',
    schema: ReturnRecord,
    id: InstanceId,
    version: 1,
  }),
});

export const aheadView = (id: InstanceId, record: ReturnRecord | null): Instance['ahead'] =>
  record?.ahead
    ? {
        generation: record.ahead.generation,
        since: isoTime(record.ahead.since),
        condition: aheadCondition(id, record.ahead.generation, record.generation),
      }
    : null;

const aheadCondition = (id: InstanceId, has: number, known: number): Condition => ({
  code: 'INSTANCE_AHEAD',
  text: `its node has generation ${has}; the backup that was restored knew ${known}. It keeps what it has`,
  hint: `make its node what it should be, then: billet instance accept ${id}`,
});
