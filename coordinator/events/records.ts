// Events as they lie in the store: written in the commit of the change that they tell of, so that
// there is no change without its event and no event without its change.

import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { Event } from '#shared/schema/records.ts';
import { isoTime, randomName } from '../ids.ts';
import { ABSENT, type Change, collection } from '../store/collection.ts';
import type { Store } from '../store/store.ts';

/** Without its revision, which is that of the commit. */
const EventRecord = Event.omit({ revision: true });
export type EventRecord = z.infer<typeof EventRecord>;

/** Who did it, what it was, what it happened to. */
export type News = Pick<EventRecord, 'actor' | 'kind' | 'subject' | 'text'> & {
  readonly details?: EventRecord['details'];
};

/** Unix milliseconds, so that the oldest come first, and something random. */
const EventKey = z.string().regex(/^\d{14}-[0-9a-z]{12}$/);

export const eventRecords = (store: Store, clock: Clock) => {
  const events = collection(store, {
    prefix: 'events',
    schema: EventRecord,
    id: EventKey,
    version: 1,
  });
  return {
    ...events,
    /** For the commit of the change. */
    tell(news: News): Change {
      const at = clock.now();
      const record = { details: {}, ...news, text: news.text.slice(0, 1024), at: isoTime(at) };
      return events.put(`${String(at).padStart(14, '0')}-${randomName(12)}`, record, ABSENT);
    },
  };
};

export const COORDINATOR = 'coordinator';
export const nodeActor = (instance: string): string => `node:${instance}`;
