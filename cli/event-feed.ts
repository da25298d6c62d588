// The coordinator's events as one sequence: a stream that breaks is opened again where it ended.

import { serverEvents } from '#shared/client/event-stream.ts';
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
 * coordinator goes away, it waits and goes on after the last event that was seen. Throws COMPACTED
 * when the events in between are gone, and what the coordinator refuses.
 */
export async function* eventFeed(
  io: CommandIo,
  coordinator: Coordinator,
  options: FeedOptions,
): AsyncGenerator<Event, void> {
  let after = options.after;
  let waitMs = RETRY_FIRST_MS;
  while (true) {
    try {
      for await (const event of oneStream(coordinator, { ...options, after })) {
        after = event.revision;
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

async function* oneStream(
  coordinator: Coordinator,
  { after, follow, subject }: FeedOptions,
): AsyncGenerator<Event, void> {
  const response = await coordinator.open(routes.watchEvents, {
    query: { after, follow: String(follow), subject },
  });
  for await (const { event, data } of serverEvents(response.body)) {
    if (event === 'error') throw streamError(data);
    if (event !== 'message' && event !== 'event') continue;
    yield Event.parse(JSON.parse(data));
  }
}

/** A stream ends with COMPACTED when what follows is gone; everything else may be tried again. */
function streamError(data: string): BilletError {
  const compacted = data.includes('COMPACTED');
  return new BilletError(
    compacted ? 'COMPACTED' : 'UNAVAILABLE',
    compacted ? 'the events from there on are no longer kept' : `the stream ended: ${data}`,
    { hint: compacted ? 'start again without --after' : 'run the command again' },
  );
}

function canResume(error: unknown): boolean {
  if (error instanceof BilletError) return error.retryable;
  // undici's: the body broke off.
  return error instanceof Error && error.name !== 'AbortError' && error.name !== 'ZodError';
}
