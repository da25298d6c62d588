// Tells a registry that is slow from one that is gone: a floor under the rate of a reply's body.
// Measures and gives up; tries nothing again.

import type { Readable } from 'node:stream';
import type { Clock } from '../../clock.ts';
import { BilletError } from '../../errors.ts';
import { transient } from './registry-error.ts';

/** Below this rate a connection counts as gone, and the transfer is taken up on another one. */
export interface StallLimit {
  readonly minBytesPerSecond: number;
  readonly windowMs: number;
}

/**
 * Far under the slowest line that anybody boots from, since downloads share it: 20 of them on
 * 64 kbit/s have 400 bytes a second each. A floor is no deadline: whoever asks sets that.
 */
export const STALL_LIMIT: StallLimit = { minBytesPerSecond: 128, windowMs: 20_000 };

export interface Watch {
  readonly what: string;
  readonly clock: Clock;
  readonly stall: StallLimit;
  readonly signal: AbortSignal | undefined;
}

/**
 * The chunks of a body while they come fast enough; a Transient when they don't, or when the
 * connection breaks. Time that the consumer takes does not count.
 */
export async function* watched(
  body: Readable,
  { what, clock, stall: { minBytesPerSecond, windowMs }, signal }: Watch,
): AsyncGenerator<Uint8Array, void> {
  const done = new AbortController();
  let bytes = 0;
  let waitedMs = 0;
  let waitingSince: number | null = clock.monotonic();
  let stalled = false;
  const watch = async () => {
    while (!done.signal.aborted) {
      await clock.sleep(windowMs, done.signal);
      if (waitingSince !== null) {
        waitedMs += clock.monotonic() - waitingSince;
        waitingSince = clock.monotonic();
      }
      if (waitedMs < windowMs) continue;
      stalled = (bytes * 1000) / waitedMs < minBytesPerSecond;
      if (stalled) return void body.destroy(new Error('stalled'));
      [bytes, waitedMs] = [0, 0];
    }
  };
  const watcher = watch().catch(() => null); // its sleep ends by `done`
  try {
    for await (const chunk of body) {
      waitedMs += clock.monotonic() - (waitingSince ?? 0);
      bytes += chunk.length;
      waitingSince = null;
      yield chunk;
      waitingSince = clock.monotonic();
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof BilletError) throw error;
    const why = stalled ? `under ${minBytesPerSecond} bytes a second` : 'connection lost';
    throw transient(`${what}: ${why}`, error);
  } finally {
    done.abort();
    await watcher;
  }
}
