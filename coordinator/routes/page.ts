// Pages of lists: every page of one listing shows the store at one revision. The cursor is the
// revision and the id of the last item, opaque to callers.

import { BilletError } from '#shared/errors.ts';
import type { Collection, Found } from '../store/collection.ts';

export interface PageQuery {
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface Page<V> {
  readonly items: V[];
  readonly next: string | null;
  readonly revision: number;
}

/** BODY_INVALID for a cursor that is none; COMPACTED when its revision is gone: begin again. */
export async function listPage<T, V>(
  source: Collection<T>,
  { after, limit }: PageQuery,
  view: (found: Found<T>) => V | Promise<V>,
  fits: (record: T) => boolean = () => true,
): Promise<Page<V>> {
  const cursor = after === undefined ? {} : parseCursor(after);
  const kept: Found<T>[] = [];
  let page = await source.list({ limit, ...cursor });
  for (;;) {
    kept.push(...page.items.filter(({ record }) => fits(record)));
    if (page.next === null || kept.length >= limit) break;
    page = await source.list({ limit, after: page.next, revision: page.revision });
  }
  const { revision } = page;
  const shown = kept.slice(0, limit);
  const last = kept.length > limit ? shown.at(-1)?.id : page.next;
  return {
    items: await Promise.all(shown.map(view)),
    next: last === null || last === undefined ? null : `${revision}.${last}`,
    revision,
  };
}

function parseCursor(text: string): { readonly revision: number; readonly after: string } {
  const [, revision, after] = /^(\d{1,15})\.(.+)$/.exec(text) ?? [];
  if (revision !== undefined && after !== undefined) return { revision: Number(revision), after };
  throw new BilletError('BODY_INVALID', 'after is no cursor of this list', {
    hint: 'give the `next` of the page before, or begin without it',
  });
}
