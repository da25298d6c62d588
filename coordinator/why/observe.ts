// Gathers the story of an instance from the store and from memory. Decides nothing.

import type { Digest } from '#shared/digest.ts';
import { Desired } from '#shared/schema/desired.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { Event } from '#shared/schema/records.ts';
import type { EventRecord } from '../events/records.ts';
import type { Live } from '../live/live.ts';
import { getInstance } from '../nodes/instance-writes.ts';
import { generationKey, type InstanceRecord } from '../nodes/records.ts';
import type { Records } from '../records.ts';
import { signalView } from '../signals/records.ts';
import type { Entry, Store } from '../store/store.ts';
import { failureOf } from './failure.ts';
import type { Story, StoryGeneration, StorySignal } from './story.ts';

type Listed = Awaited<ReturnType<Store['list']>>;

const HOUR_MS = 3_600_000;
/** Events looked at, of the whole fleet, the newest first: more, and older ones are left out. */
const EVENTS_MAX = 200_000;
const PAGE = 1_000;
/** Heartbeats of others that are compared. */
const OTHERS_MAX = 5_000;
/** What concerns every instance. */
const GLOBAL = /^(coordinator|ca)\./;

export interface Observed {
  readonly story: Story;
  readonly looked: { readonly since: number; readonly events: number; readonly truncated: boolean };
}

/** NOT_FOUND. */
export async function observeStory(
  { records, live }: { readonly records: Records; readonly live: Pick<Live, 'presence'> },
  id: InstanceId,
  hours: number,
): Promise<Observed> {
  const { record } = await getInstance(records, id);
  const now = records.clock.now();
  const [heartbeat, presence, generations] = await Promise.all([
    records.heartbeats.get(id),
    live.presence(id),
    generationsOf(records, record),
  ]);
  const known: Story = {
    now,
    lookbackMs: hours * HOUR_MS,
    instance: {
      ...record,
      fault: record.machine?.fault ?? null,
      connected: presence.connected,
      lastSeenAt: presence.lastSeenAt,
    },
    heartbeat: heartbeat?.record ?? null,
    generations,
    events: [],
    signals: await signalsOf(records, id),
    elsewhere: await elsewhereOf(records, id, generations),
  };
  // What failed long ago is looked at from then on; a rejection only its event dates.
  const failure = failureOf(known);
  const end = failure === null || failure.kind === 'rejected' ? now : failure.at;
  const since = end - hours * HOUR_MS;
  const { events, truncated } = await eventsOf(records, record, since);
  return { story: { ...known, events }, looked: { since, events: events.length, truncated } };
}

async function generationsOf(
  records: Records,
  { id, kept }: InstanceRecord,
): Promise<readonly StoryGeneration[]> {
  const found = await Promise.all(
    kept.map((generation) => records.desired.get(generationKey(id, generation))),
  );
  return found.flatMap((one) => {
    if (one === null) return [];
    const bytes = Buffer.from(one.record.payload, 'base64').toString('utf8');
    return [Desired.parse(JSON.parse(bytes))];
  });
}

/** In windows that go back in time, so that it is the oldest that are left out. */
async function eventsOf(
  records: Records,
  { id, node }: InstanceRecord,
  since: number,
): Promise<{ readonly events: readonly Event[]; readonly truncated: boolean }> {
  const subjects = [`instance/${id}`, `node/${node}`];
  const concerns = ({ subject, kind, details }: EventRecord): boolean =>
    subjects.includes(subject) || details.instance === id || GLOBAL.test(kind);
  /** Most are of others: they are not even parsed. */
  const mayConcern = (value: string): boolean =>
    value.includes(id) || value.includes(`node/${node}"`) || /"(coordinator|ca)\./.test(value);
  const events: Event[] = [];
  const answer = (truncated: boolean) => ({
    events: events.sort((one, other) => one.revision - other.revision),
    truncated,
  });
  let seen = 0;
  let to = records.clock.now() + HOUR_MS;
  for (let width = HOUR_MS; to > since; width *= 2) {
    const from = Math.max(since, to - width);
    for await (const entry of between(records, from, to)) {
      seen += 1;
      if (seen > EVENTS_MAX) return answer(true);
      if (!mayConcern(entry.value)) continue;
      const { record, revision } = records.events.read(entry);
      if (concerns(record)) events.push({ ...record, revision });
    }
    to = from;
  }
  return answer(false);
}

/** Events are stored under their time. As they are stored. */
async function* between(
  { store, events }: Records,
  from: number,
  to: number,
): AsyncGenerator<Entry> {
  const keyOf = (at: number) =>
    events.key(`${String(Math.max(0, at)).padStart(14, '0')}-000000000000`);
  const end = keyOf(to);
  let after: string | null = keyOf(from);
  while (after !== null) {
    const page: Listed = await store.list(`${events.prefix}/`, { after, limit: PAGE });
    for (const entry of page.entries) {
      if (entry.key >= end) return;
      yield entry;
    }
    after = page.next;
  }
}

async function signalsOf(records: Records, id: InstanceId): Promise<readonly StorySignal[]> {
  const signals: StorySignal[] = [];
  for await (const found of records.signals.all(`${id}.`)) signals.push(signalView(found));
  return signals;
}

/** How the manifests of its generations do on other instances, as they last said. */
async function elsewhereOf(
  records: Records,
  own: InstanceId,
  generations: readonly StoryGeneration[],
): Promise<Story['elsewhere']> {
  const wanted = new Set(generations.flatMap(({ modules }) => modules.map((one) => one.manifest)));
  const counts = new Map<Digest, { well: number; failed: number }>();
  let seen = 0;
  for await (const { id, record } of records.heartbeats.all()) {
    seen += 1;
    if (wanted.size === 0 || seen > OTHERS_MAX) break;
    for (const { manifest, state } of id === own ? [] : (record.heartbeat.modules ?? [])) {
      if (!wanted.has(manifest)) continue;
      const count = counts.get(manifest) ?? { well: 0, failed: 0 };
      counts.set(manifest, count);
      if (state === 'failed') count.failed += 1;
      else count.well += 1;
    }
  }
  return counts;
}
