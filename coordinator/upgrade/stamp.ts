// The stamp of a store: which version of each kind of record it may hold, and which Billet wrote it last.
// Checked before anything is written, so that an older Billet leaves a newer store as it is. Migrates
// nothing itself: old records are migrated as they are read (store/record.ts).

import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { VERSION } from '#shared/version.ts';
import { COORDINATOR } from '../events/records.ts';
import { isoTime } from '../ids.ts';
import type { Records } from '../records.ts';
import { ABSENT, collection, commitAll } from '../store/collection.ts';
import type { Store } from '../store/store.ts';

/** The newest version of each kind of record, by the prefix of its keys. */
export type Formats = Readonly<Record<string, number>>;

/** Kinds that stand in no table of records: whoever keeps them opens them. A test compares. */
export const PRIVATE_FORMATS: Formats = {
  ca: 1,
  certificates: 2,
  crl: 1,
  'leader-beats': 1,
  'leader-terms': 1,
  revocations: 2,
  seen: 1,
};

const StampRecord = z.strictObject({
  /** Version of Billet. */
  billet: z.string().max(64),
  /** Unix milliseconds, of its first start over this store. */
  since: z.int().nonnegative(),
  formats: z.record(z.string(), z.int().positive()),
});

const ONE = z.literal('records');
const KEY = 'records';

const stamps = (store: Store) =>
  collection(store, { prefix: 'stamp', schema: StampRecord, id: ONE, version: 1 });

export function formatsOf(records: Records): Formats {
  const found: Record<string, number> = { ...PRIVATE_FORMATS };
  for (const kind of Object.values(records))
    if ('prefix' in kind && 'version' in kind) found[kind.prefix] = kind.version;
  return found;
}

/** Kinds that a store has and this version does not know so, as text; empty when it knows all. */
const unknownFormats = (stamped: Formats, known: Formats): readonly string[] =>
  Object.entries(stamped).flatMap(([prefix, version]) => {
    const own = known[prefix];
    if (own === undefined) return [`${prefix} ${version} (not known here)`];
    return version > own ? [`${prefix} ${version} (known is ${own})`] : [];
  });

/**
 * Before anything else is written to the store: refuses one that a newer Billet has written, and stamps
 * one that is new or older. STORE_NEWER, and then nothing was written.
 */
export async function openStamp(
  records: Records,
  clock: Clock,
  formats: Formats = formatsOf(records),
): Promise<void> {
  const stamp = stamps(records.store);
  const found = await stamp.get(KEY);
  const unknown = unknownFormats(found?.record.formats ?? {}, formats);
  if (unknown.length > 0) throw newer(found?.record.billet ?? '', unknown);
  const isSame =
    found?.record.billet === VERSION &&
    Object.entries(formats).every(([prefix, version]) => found.record.formats[prefix] === version);
  if (isSame) return;
  const { revision } = await records.store.get(KEY);
  const from = found?.record.billet ?? (revision === 0 ? null : '0.1.0');
  const since = clock.now();
  const done = await commitAll(records.store, [
    stamp.put(KEY, { billet: VERSION, since, formats }, found?.revision ?? ABSENT),
    ...(from === null
      ? []
      : [
          records.events.tell({
            actor: COORDINATOR,
            kind: 'coordinator.upgraded',
            subject: COORDINATOR,
            text: `Billet ${VERSION} took over at ${isoTime(since)}; before it was ${from}`,
            details: { from, to: VERSION },
          }),
        ]),
  ]);
  // Another coordinator over the same store was quicker: what it wrote is looked at.
  if (!done) return await openStamp(records, clock, formats);
}

const newer = (billet: string, unknown: readonly string[]) =>
  new BilletError(
    'STORE_NEWER',
    `Billet ${billet} has written this store; ${VERSION} does not know its records: ${unknown.join(', ')}`,
    {
      hint: `run Billet ${billet} or newer; or restore a backup that ${VERSION} wrote: billet coordinator restore FILE --force`,
      details: { writtenBy: billet, unknown },
    },
  );
