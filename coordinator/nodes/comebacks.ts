// Machines that come back as an instance that has ended: refused elsewhere, and told here, for such a
// machine was not switched off, or its disk lives on. Refuses nothing itself.

import type { Clock } from '#shared/clock.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { COORDINATOR } from '../events/records.ts';
import type { Log } from '../log.ts';
import type { Records } from '../records.ts';
import { commitAll } from '../store/collection.ts';
import { isLive } from './lifecycle.ts';

export interface Comebacks {
  /** Somebody who was refused said, or proved, that it is this instance. */
  note(instance: InstanceId, how: string): void;
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

  async function tell(instance: InstanceId, how: string): Promise<void> {
    const record = (await records.instances.get(instance))?.record;
    if (!record || isLive(record.state)) return;
    const { node, state, provider } = record;
    const text = `a machine came back as ${instance} of ${node}, which is ${state}, and was refused: ${how}`;
    const hint =
      provider === 'manual'
        ? 'switch that machine off'
        : 'billet provider leftovers shows machines';
    log.warn('a machine came back as an instance that has ended', { instance, how });
    const event = { actor: COORDINATOR, kind: 'instance.came_back', text: `${text}; ${hint}` };
    const told = records.events.tell({ ...event, subject: `instance/${instance}` });
    await commitAll(records.store, [told]);
  }

  return {
    note(instance, how) {
      const now = clock.monotonic();
      for (const [id, at] of told) if (at + AGAIN_MS <= now) told.delete(id);
      if (told.has(instance) || told.size >= REMEMBERED_MAX) return;
      told.set(instance, now);
      tell(instance, how).catch((error) => log.warn('not told', { instance, why: String(error) }));
    },
  };
}
