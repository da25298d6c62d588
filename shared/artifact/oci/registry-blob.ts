// Streams a blob from a registry: verified while it passes, resumed by range after a broken or
// stalled connection. Stores nothing.

import { BilletError } from '../../errors.ts';
import { delayMs } from './backoff.ts';
import { failed, gaveUp, isTransient, transient } from './registry-error.ts';
import type { Ask, Connection, Reply, Requester } from './registry-request.ts';
import type { Descriptor } from './schema.ts';
import type { BlobOptions } from './source.ts';
import { digestVerifier } from './verified.ts';

/** A slower registry counts as gone; the transfer is taken up on a new connection. */
export interface StallLimit {
  readonly minBytesPerSecond: number;
  readonly windowMs: number;
}

export const STALL_LIMIT: StallLimit = { minBytesPerSecond: 1024, windowMs: 10_000 };

/** Progress that proves a connection useful: failures before it are forgotten. */
const PROGRESS_BYTES = 1 << 20;

/**
 * The bytes of `descriptor`, in order. Ends with DIGEST_MISMATCH if they are others, and
 * REGISTRY_FAILED after `backoff.attempts` failures in a row.
 */
export async function* streamBlob(
  requester: Requester,
  ask: Pick<Ask, 'url' | 'scope' | 'what'>,
  descriptor: Descriptor,
  stall: StallLimit,
  { signal, onProgress }: BlobOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const { connection } = requester;
  const verifier = digestVerifier(descriptor, ask.what);
  let failures = 0;
  let lastFailureAt = 0;
  do {
    try {
      for await (const chunk of rest(
        requester,
        ask,
        descriptor,
        verifier.received,
        stall,
        signal,
      )) {
        verifier.update(chunk);
        yield chunk;
        onProgress?.(verifier.received);
      }
      if (verifier.received < descriptor.size)
        throw transient(`${ask.what}: ended after ${verifier.received} bytes`);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isTransient(error)) throw error;
      failures = verifier.received - lastFailureAt >= PROGRESS_BYTES ? 1 : failures + 1;
      lastFailureAt = verifier.received;
      if (failures >= connection.backoff.attempts) throw gaveUp(ask.what, failures, error);
      const waitMs = delayMs(connection.backoff, failures, connection.random, error.retryAfterMs);
      await connection.clock.sleep(waitMs, signal ?? new AbortController().signal);
    }
  } while (verifier.received < descriptor.size);
  verifier.finish();
}

/** One connection's part: what is missing from `offset` on. */
async function* rest(
  requester: Requester,
  ask: Pick<Ask, 'url' | 'scope' | 'what'>,
  descriptor: Descriptor,
  offset: number,
  stall: StallLimit,
  outer: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  const controller = new AbortController();
  const signal = outer ? AbortSignal.any([outer, controller.signal]) : controller.signal;
  try {
    const headers = offset > 0 ? { range: `bytes=${offset}-` } : undefined;
    const reply = await requester.once({
      ...ask,
      method: 'GET',
      expect: offset > 0 ? [200, 206] : [200],
      signal,
      ...(headers === undefined ? {} : { headers }),
    });
    let skipBytes = startOf(reply, ask.what, descriptor, offset);
    for await (const chunk of watched(reply, ask.what, requester.connection, stall, signal)) {
      const kept = chunk.subarray(Math.min(skipBytes, chunk.length));
      skipBytes -= chunk.length - kept.length;
      if (kept.length > 0) yield kept;
    }
  } finally {
    controller.abort(); // whatever way this ends, the connection is not left half read
  }
}

/** How many bytes of this reply are known already. A reply for another range is a failure. */
function startOf(reply: Reply, what: string, descriptor: Descriptor, offset: number): number {
  const length = reply.headers.get('content-length');
  const expected = reply.status === 206 ? descriptor.size - offset : descriptor.size;
  if (length !== null && Number(length) !== expected) {
    if (reply.status === 206)
      throw transient(`${what}: ${length} bytes for a range of ${expected}`);
    throw new BilletError('DIGEST_MISMATCH', `${what}: ${length} bytes, expected ${expected}`, {
      hint: 'pull it again; if it stays so, push the content again',
      details: { expected: descriptor.digest },
    });
  }
  if (reply.status === 200) return offset; // the registry has no ranges: pass over what is here
  const range = reply.headers.get('content-range');
  if (range === `bytes ${offset}-${descriptor.size - 1}/${descriptor.size}`) return 0;
  throw failed(`${what}: asked for bytes from ${offset}, got ${range ?? 'no Content-Range'}`);
}

/** Passes chunks on while they come fast enough. Time that the consumer takes does not count. */
async function* watched(
  reply: Reply,
  what: string,
  { clock }: Connection,
  { minBytesPerSecond, windowMs }: StallLimit,
  signal: AbortSignal,
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
      if (stalled) return void reply.body.destroy(new Error('stalled'));
      [bytes, waitedMs] = [0, 0];
    }
  };
  const watcher = watch().catch(() => null); // its sleep ends by `done`
  try {
    for await (const chunk of reply.body) {
      waitedMs += clock.monotonic() - (waitingSince ?? 0);
      bytes += chunk.length;
      waitingSince = null;
      yield chunk;
      waitingSince = clock.monotonic();
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof BilletError) throw error;
    throw transient(
      `${what}: ${stalled ? `under ${minBytesPerSecond} bytes a second` : 'connection lost'}`,
      error,
    );
  } finally {
    done.abort();
    await watcher;
  }
}
