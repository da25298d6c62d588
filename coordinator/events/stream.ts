// Events as a stream, in the order of their commits: those that are kept, then those to come.

import type { Event } from '#shared/schema/records.ts';
import type { Records } from '../records.ts';
import type { StreamItem } from '../routes/handler.ts';
import type { EventRecord } from './records.ts';

export interface StreamOptions {
  /** Only events of later revisions; every kept one without it. */
  readonly after?: number | undefined;
  /** Go on with what happens; else end with the newest. */
  readonly follow: boolean;
  /** Only of this one: `instance/i-…`. */
  readonly subject?: string | undefined;
}

/**
 * Each event under its revision; null where nothing happened for a while. Of several events of one
 * commit only the last bears the id, so that a stream that broke among them is resumed before them.
 * COMPACTED, before anything else, when the history after `after` is gone.
 */
export async function* eventStream(
  records: Records,
  { after, follow, subject }: StreamOptions,
  signal: AbortSignal,
): AsyncGenerator<StreamItem<Event> | null> {
  const fits = (event: EventRecord) => subject === undefined || event.subject === subject;
  // Reads nothing that is wanted, but fails when that revision is not in the history.
  if (after !== undefined) await records.events.list({ limit: 1, revision: after });
  yield null;
  let from = after ?? 0;
  if (after === undefined || !follow) {
    const kept = await keptEvents(records, from);
    yield* items(kept.events.filter(({ record }) => fits(record)));
    from = kept.revision;
  }
  if (!follow) return;
  for await (const { revision, changes } of records.events.watch(from, signal)) {
    const told = changes.flatMap(({ record }) => (record && fits(record) ? [record] : []));
    if (told.length === 0) yield null;
    yield* items(told.map((record) => ({ record, revision })));
  }
}

type Told = { readonly record: EventRecord; readonly revision: number };

/** Those after `from` that were not yet forgotten, in order, and the revision they are complete to. */
async function keptEvents(records: Records, from: number) {
  const events: Told[] = [];
  let page = await records.events.list();
  for (;;) {
    events.push(...page.items.filter(({ revision }) => revision > from));
    if (page.next === null) break;
    page = await records.events.list({ after: page.next, revision: page.revision });
  }
  return { events: events.sort((a, b) => a.revision - b.revision), revision: page.revision };
}

const items = (told: readonly Told[]): StreamItem<Event>[] =>
  told.map(({ record, revision }, at) => ({
    id: told[at + 1]?.revision === revision ? null : String(revision),
    data: { ...record, revision },
  }));
