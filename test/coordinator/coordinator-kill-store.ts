// A store whose process dies at its n-th commit: before it, or after it and before anybody hears of
// it. And stores that break a promise, to see that the scenario notices. Decides nothing else.

import type { Condition, Store, Write } from '../../coordinator/store/store.ts';

/** `before`: nothing of the commit is there. `after`: all of it is, and nobody was told. */
export type Side = 'before' | 'after';

export interface Kill {
  /** Counted from 1 over the life of the process; 0 is never. */
  readonly at: number;
  readonly side: Side;
}

/** A mutation: what a store would be that breaks one promise of the contract or of a record. */
export type Mutation =
  /** Leaves out the writes for which this is true. */
  | { readonly kind: 'forgets'; readonly write: (write: Write) => boolean }
  /** Writes the first key of the commit at which it dies, and not the rest. */
  | { readonly kind: 'half' }
  /** Says that a commit is done, and dies before it is. */
  | { readonly kind: 'early' };

export interface FaultyStore extends Store {
  /** Commits that came in. */
  readonly commits: () => number;
}

export interface FaultyOptions {
  readonly kill: Kill;
  readonly mutation?: Mutation | undefined;
  /** Ends the process, or what stands for it; nothing is answered any more. */
  readonly die: () => void;
  readonly onAcknowledged: (revision: number) => void;
  /** Rejects when the dead process is cleared away. */
  readonly buried: Promise<never>;
}

export function faultyStore(real: Store, options: FaultyOptions): FaultyStore {
  const { kill, mutation, die, onAcknowledged, buried } = options;
  let count = 0;
  let dead = false;
  let late: NodeJS.Timeout | undefined;
  const kept = (writes: readonly Write[]) =>
    mutation?.kind === 'forgets' ? writes.filter((one) => !mutation.write(one)) : writes;

  function end(): Promise<never> {
    dead = true;
    die();
    return buried;
  }

  async function commit(conditions: readonly Condition[], writes: readonly Write[]) {
    if (dead) return await buried;
    count += 1;
    const now = count === kill.at;
    const wanted = kept(writes);
    if (now && mutation?.kind === 'early') {
      late = setTimeout(() => void end().catch(() => null), 20);
      return { revision: (await real.get('x')).revision + 1 };
    }
    if (now && mutation?.kind === 'half') {
      await real.commit(conditions, wanted.slice(0, 1));
      return await end();
    }
    if (now && kill.side === 'before') return await end();
    const done =
      wanted.length > 0
        ? await real.commit(conditions, wanted)
        : { revision: (await real.get('x')).revision };
    if (now) return await end();
    // Under way when another one died: nobody hears of it.
    if (dead) return await buried;
    if (done) onAcknowledged(done.revision);
    return done;
  }

  return {
    historyId: real.historyId,
    get: (key) => (dead ? buried : real.get(key)),
    list: (prefix, how) => (dead ? buried : real.list(prefix, how)),
    commit,
    watch: (prefix, after, signal) => real.watch(prefix, after, signal),
    compact: (before) => real.compact(before),
    check: () => (dead ? buried : real.check()),
    async close() {
      clearTimeout(late);
      if (!dead) await real.close();
    },
    commits: () => count,
  };
}
