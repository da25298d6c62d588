// The coordinator's events as one sequence: a stream that breaks is opened again where it ended.

import { serverEvents } from '#shared/client/event-stream.ts';
import { problemError } from '#shared/client/problem.ts';
import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import { Event } from '#shared/schema/records.ts';
import type { Coordinator } from './client.ts';
import type { CommandIo } from './command-io.ts';

export interface FeedOptions {
  /** Only events of later revisions; all that are kept without it. */
  readonly after?: number | undefined;
  readonly follow: boolean;
  readonly subject?: string | undefined;
}

const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 15_000;

/**
 * Without `follow` it ends with the newest event. With it, it ends only by the signal: when the
 * coordinator goes away, it waits and goes on where it was. Throws COMPACTED when the events in
 * between are gone, and what the coordinator refuses.
 */
export async function* eventFeed(
  io: CommandIo,
  coordinator: Coordinator,
  options: FeedOptions,
): AsyncGenerator<Event, void> {
  const place = { after: options.after, beyond: 0 };
  let waitMs = RETRY_FIRST_MS;
  while (true) {
    try {
      for await (const event of oneStream(coordinator, options, place)) {
        waitMs = RETRY_FIRST_MS;
        yield event;
      }
      if (!options.follow) return;
    } catch (error) {
      if (!options.follow || !canResume(error)) throw error;
      io.stderr.write(
        `note: the connection broke; trying again in ${Math.ceil(waitMs / 1000)} s\n`,
      );
    }
    // Half of the time is left to chance, so that many followers do not return together.
    await io.clock.sleep(waitMs / 2 + Math.random() * (waitMs / 2), io.signal);
    waitMs = Math.min(waitMs * 2, RETRY_MOST_MS);
  }
}

/** Where to go on: after that revision, and so many events of later ones that were seen already. */
interface Place {
  after: number | undefined;
  beyond: number;
}

/** Of several events of one commit only the last bears the id, so the place may lie between them. */
async function* oneStream(
  coordinator: Coordinator,
  { follow, subject }: FeedOptions,
  place: Place,
): AsyncGenerator<Event, void> {
  const response = await coordinator.open(routes.watchEvents, {
    query: { after: place.after, follow: String(follow), subject },
  });
  let seen = 0;
  for await (const { id, event, data } of serverEvents(response.body)) {
    if (event === 'error') throw problemError(500, data, 'the stream of events');
    const parsed = Event.parse(JSON.parse(data));
    const whole = id !== '' && Number(id) >= parsed.revision;
    const known = seen < place.beyond;
    seen += 1;
    if (!known) yield parsed;
    if (whole) [place.after, place.beyond, seen] = [Number(id), 0, 0];
    else place.beyond = Math.max(place.beyond, seen);
  }
}

function canResume(error: unknown): boolean {
  if (error instanceof BilletError) return error.retryable;
  // undici's: the body broke off.
  return error instanceof Error && error.name !== 'AbortError' && error.name !== 'ZodError';
}
