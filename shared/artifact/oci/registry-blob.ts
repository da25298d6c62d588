// Streams a blob from a registry: verified while it passes, resumed by range after a broken or
// stalled connection. Stores nothing.

import { BilletError } from '../../errors.ts';
import { failed, isTransient, transient } from './registry-error.ts';
import { type Ask, drop, type Reply, type Requester } from './registry-request.ts';
import { backOff } from './registry-retry.ts';
import type { Descriptor } from './schema.ts';
import type { BlobOptions } from './source.ts';
import { digestVerifier } from './verified.ts';

/** Progress that proves a connection useful: failures before it are forgotten. */
const PROGRESS_BYTES = 256 * 1024;

/**
 * The bytes of `descriptor`, in order. Ends with DIGEST_MISMATCH if they are others, and
 * REGISTRY_FAILED after `backoff.attempts` failures in a row (`attemptsForRest` in mid-blob).
 */
export async function* streamBlob(
  requester: Requester,
  ask: Pick<Ask, 'url' | 'scope' | 'what'>,
  descriptor: Descriptor,
  { signal, onProgress }: BlobOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const { connection } = requester;
  const { attempts, attemptsForRest = attempts } = connection.backoff;
  const verifier = digestVerifier(descriptor, ask.what);
  let failures = 0;
  let lastFailureAt = 0;
  do {
    try {
      for await (const chunk of rest(requester, ask, descriptor, verifier.received, signal)) {
        verifier.update(chunk);
        yield chunk;
        onProgress?.(verifier.received);
      }
      if (verifier.received < descriptor.size)
        throw transient(`${ask.what}: ended after ${verifier.received} bytes`);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isTransient(error)) throw error;
      if (verifier.received === descriptor.size) break; // cut behind the last byte
      failures = verifier.received - lastFailureAt >= PROGRESS_BYTES ? 1 : failures + 1;
      lastFailureAt = verifier.received;
      const most = verifier.received >= PROGRESS_BYTES ? attemptsForRest : attempts;
      const failure = { failure: failures, attempts: most, error };
      await backOff(connection, failure, signal);
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
  outer: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  const controller = new AbortController();
  const signal = outer ? AbortSignal.any([outer, controller.signal]) : controller.signal;
  try {
    const headers = offset > 0 ? { range: `bytes=${offset}-` } : undefined;
    const reply = await requester.once({
      ...ask,
      method: 'GET',
      expect: offset > 0 ? [200, 206, 416] : [200],
      signal,
      ...(headers === undefined ? {} : { headers }),
    });
    if (reply.status === 416) await drop(reply);
    let skipBytes = startOf(reply, ask.what, descriptor, offset);
    for await (const chunk of reply.read()) {
      const kept = chunk.subarray(Math.min(skipBytes, chunk.length));
      skipBytes -= chunk.length - kept.length;
      if (kept.length > 0) yield kept;
    }
  } finally {
    controller.abort(); // whatever way this ends, the connection is not left half read
  }
}

/**
 * How many bytes of this reply are known already. A reply for another range is REGISTRY_FAILED, and
 * content of another size DIGEST_MISMATCH. Source: RFC 9110 §14.4 (Content-Range), §15.5.17 (416).
 */
function startOf(reply: Reply, what: string, descriptor: Descriptor, offset: number): number {
  const range = reply.headers.get('content-range');
  if (reply.status === 416) {
    const size = /^bytes \*\/(\d+)$/.exec(range ?? '')?.[1];
    if (size === undefined || Number(size) === descriptor.size)
      throw failed(`${what}: refused the range from ${offset}`, { status: 416 });
    throw otherSize(what, size, descriptor);
  }
  const length = reply.headers.get('content-length');
  if (reply.status === 200) {
    if (length !== null && Number(length) !== descriptor.size)
      throw otherSize(what, length, descriptor);
    return offset; // the registry has no ranges: pass over what is here
  }
  const expected = descriptor.size - offset;
  if (length !== null && Number(length) !== expected)
    throw transient(`${what}: ${length} bytes for a range of ${expected}`);
  if (range === `bytes ${offset}-${descriptor.size - 1}/${descriptor.size}`) return 0;
  throw failed(`${what}: asked for bytes from ${offset}, got ${range ?? 'no Content-Range'}`);
}

const otherSize = (what: string, bytes: string, { digest, size }: Descriptor): BilletError =>
  new BilletError('DIGEST_MISMATCH', `${what}: ${bytes} bytes, expected ${size}`, {
    hint: 'pull it again; if it stays so, push the content again',
    details: { expected: digest, sizeBytes: size },
  });
