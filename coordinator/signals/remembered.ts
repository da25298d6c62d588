// What sensors need to know of each record of a collection, kept between two looks: a record is decoded
// again only when its revision is another one. Reads the whole collection each time; trusts no watch.

import type { Collection, Found } from '../store/collection.ts';

/** The facts of every record, by id. */
export type Look<F> = () => Promise<ReadonlyMap<string, F>>;

export function remembered<T, F>(source: Collection<T>, pick: (found: Found<T>) => F): Look<F> {
  let known = new Map<string, { readonly revision: number; readonly facts: F }>();
  return async () => {
    const next: typeof known = new Map();
    const facts = new Map<string, F>();
    for await (const entry of source.entries()) {
      const id = entry.key.slice(source.prefix.length + 1);
      const before = known.get(id);
      const one =
        before?.revision === entry.revision
          ? before
          : { revision: entry.revision, facts: pick(source.read(entry)) };
      next.set(id, one);
      facts.set(id, one.facts);
    }
    known = next;
    return facts;
  };
}

const INTERNED_MAX = 4_096;

/** Equal texts become one: most nodes of a fleet are alike. */
export function interning(): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    const same = known.get(text);
    if (same !== undefined) return same;
    if (known.size >= INTERNED_MAX) known.clear();
    known.set(text, text);
    return text;
  };
}
