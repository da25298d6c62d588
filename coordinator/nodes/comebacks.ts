// Machines that come back as an instance that has ended: refused elsewhere, and told and kept here, for
// such a machine was not switched off, or its disk lives on. Refuses nothing itself.

import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { InstanceId } from '#shared/schema/ids.ts';
import type { Instance } from '#shared/schema/records.ts';
import { COORDINATOR } from '../events/records.ts';
import { isoTime } from '../ids.ts';
import type { Log } from '../log.ts';
import type { Records } from '../records.ts';
import { ABSENT, collection } from '../store/collection.ts';
import type { Store } from '../store/store.ts';
import { transact } from '../store/transact.ts';
import { isLive } from './lifecycle.ts';

const ComebackRecord = z.strictObject({
  firstAt: z.int().nonnegative(),
  lastAt: z.int().nonnegative(),
  /** Why it was refused the last time. */
  how: z.string().max(512),
});

export const comebackRecords = (store: Store) => ({
  /** Of instances that have ended. */
  comebacks: collection(store, {
    prefix: 'comebacks',
    schema: ComebackRecord,
    id: InstanceId,
    version: 1,
  }),
});

export const comebackView = (
  record: z.infer<typeof ComebackRecord> | undefined,
): Instance['cameBack'] =>
  record === undefined
    ? null
    : { firstAt: isoTime(record.firstAt), lastAt: isoTime(record.lastAt), how: record.how };

export interface Comebacks {
  /** Somebody who was refused said, or proved, that it is this instance. Resolves when it is kept. */
  note(instance: InstanceId, how: string): Promise<void>;
}

/** A machine asks again and again, and anybody may name an instance: told seldom, and of few. */
const AGAIN_MS = 10 * 60_000;
const REMEMBERED_MAX = 1_000;

export function comebacks(deps: {
  readonly records: Records;
  readonly clock: Clock;
  readonly log: Log;
}): Comebacks {
  const { records, clock, log } = deps;
  const told = new Map<InstanceId, number>();

  async function tell(id: InstanceId, how: string): Promise<void> {
    await transact(records.store, `instance ${id}`, async () => {
      const [found, before] = await Promise.all([
        records.instances.get(id),
        records.comebacks.get(id),
      ]);
      if (!found || isLive(found.record.state)) return null;
      const { node, state, provider } = found.record;
      const now = records.clock.now();
      const firstAt = before?.record.firstAt ?? now;
      const record = { firstAt, lastAt: now, how: how.slice(0, 512) };
      const text = `a machine came back as ${id} of ${node}, which is ${state}, and was refused: ${how}`;
      const hint =
        provider === 'manual'
          ? 'switch that machine off'
          : 'billet provider leftovers shows machines';
      const event = { actor: COORDINATOR, kind: 'instance.came_back', text: `${text}; ${hint}` };
      return {
        changes: [
          records.comebacks.put(id, record, before?.revision ?? ABSENT),
          records.events.tell({ ...event, subject: `instance/${id}` }),
        ],
        result: () => log.warn('a machine came back as an instance that has ended', { id, how }),
      };
    });
  }

  return {
    async note(instance, how) {
      const now = clock.monotonic();
      for (const [id, at] of told) if (at + AGAIN_MS <= now) told.delete(id);
      if (told.has(instance) || told.size >= REMEMBERED_MAX) return;
      told.set(instance, now);
      await tell(instance, how).catch((error) =>
        log.warn('a machine that came back was not told of', { instance, why: String(error) }),
      );
    },
  };
}
