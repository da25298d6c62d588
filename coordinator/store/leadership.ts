// Who may act for all coordinators: a time-bound lease in the store. Two records: the term changes
// when leadership does, the beat at each renewal. A leader's commits carry the condition of its term,
// so that one that was overtaken, however late it wakes, writes nothing.

import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { ABSENT, collection, commitAll, type Found } from './collection.ts';
import type { Condition, Store } from './store.ts';

const Name = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);
const Term = z.strictObject({ holder: z.string().min(1).max(200), epoch: z.int().min(1) });
type Term = z.infer<typeof Term>;
const Beat = z.strictObject({ epoch: z.int().min(0), count: z.int().min(0) });
type Beat = z.infer<typeof Beat>;

export interface LeadershipOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** What is led, e.g. 'sensors'. */
  readonly name: string;
  /** This coordinator, the same after a restart: it takes its own old term over at once. */
  readonly holder: string;
  readonly ttlMs: number;
}

/** A term that is held. `condition` goes into every commit that only the leader may make. */
export interface Leading {
  readonly epoch: number;
  readonly condition: Condition;
  /** By `Clock.monotonic`, counted from before the renewal was sent: stop leading at this moment. */
  readonly until: number;
}

export interface Leadership {
  /**
   * Takes the lease, or renews it when it is ours; null while another holds it. Call it three times
   * in a `ttlMs`. Another's lease is run out when its beat did not change for `ttlMs` under our eyes:
   * no two clocks are compared.
   */
  campaign(): Promise<Leading | null>;
  /** Lets go, so that the next one need not wait. */
  release(): Promise<void>;
}

export function leadership(options: LeadershipOptions): Leadership {
  const { store, clock, name, holder, ttlMs } = options;
  const common = { id: Name, version: 1 };
  const terms = collection<Term>(store, { ...common, prefix: 'leader-terms', schema: Term });
  const beats = collection<Beat>(store, { ...common, prefix: 'leader-beats', schema: Beat });
  let watched: { revision: number; since: number } | null = null;
  let ours = 0;

  /** True once the beat stood still for a whole ttl. */
  function ranOut(beat: Found<Beat> | null): boolean {
    const now = clock.monotonic();
    const revision = beat?.revision ?? 0;
    if (watched?.revision !== revision) watched = { revision, since: now };
    return now - watched.since >= ttlMs;
  }

  const read = async () => ({ term: await terms.get(name), beat: await beats.get(name) });

  async function renew(term: Found<Term>, beat: Found<Beat> | null): Promise<Leading | null> {
    const until = clock.monotonic() + ttlMs;
    const condition = { key: terms.key(name), revision: term.revision };
    const { epoch } = term.record;
    const next = beats.put(
      name,
      { epoch, count: (beat?.record.count ?? 0) + 1 },
      beat?.revision ?? 0,
    );
    const done = await store.commit([condition, next.condition], [next.write]);
    return done && { epoch, condition, until };
  }

  async function take(term: Found<Term> | null, beat: Found<Beat> | null): Promise<Leading | null> {
    const until = clock.monotonic() + ttlMs;
    const epoch = Math.max(term?.record.epoch ?? 0, beat?.record.epoch ?? 0) + 1;
    const done = await commitAll(store, [
      terms.put(name, { holder, epoch }, term?.revision ?? ABSENT),
      beats.put(name, { epoch, count: 0 }, beat?.revision ?? ABSENT),
    ]);
    if (!done) return null;
    ours = epoch;
    return { epoch, condition: { key: terms.key(name), revision: done.revision }, until };
  }

  return {
    async campaign() {
      const { term, beat } = await read();
      if (term?.record.holder === holder && term.record.epoch === ours) return renew(term, beat);
      const free = term === null || term.record.holder === holder || ranOut(beat);
      return free ? take(term, beat) : null;
    },

    async release() {
      const term = await terms.get(name);
      if (term?.record.holder !== holder || term.record.epoch !== ours) return;
      await commitAll(store, [terms.drop(name, term.revision)]);
    },
  };
}
