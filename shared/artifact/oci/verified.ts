// Checks size and digest of a stream while it passes. Does not retry and does not store.

import { createHash } from 'node:crypto';
import type { Digest } from '../../digest.ts';
import { BilletError } from '../../errors.ts';

export interface Expected {
  readonly digest: Digest;
  readonly size: number;
}

export interface Verifier {
  /** Bytes seen so far. */
  readonly received: number;
  /** Throws DIGEST_MISMATCH as soon as there are more bytes than expected. */
  update(chunk: Uint8Array): void;
  /** Throws DIGEST_MISMATCH unless size and digest are those expected. */
  finish(): void;
}

export function digestVerifier(expected: Expected, where: string): Verifier {
  const hash = createHash('sha256');
  let received = 0;
  const mismatch = (actual: string) =>
    new BilletError('DIGEST_MISMATCH', `${expected.digest} from ${where} ${actual}`, {
      hint: 'pull it again; if it stays so, push the content again',
      details: { expected: expected.digest, sizeBytes: expected.size, where },
    });
  return {
    get received() {
      return received;
    },
    update(chunk) {
      received += chunk.length;
      if (received > expected.size) throw mismatch(`is longer than ${expected.size} bytes`);
      hash.update(chunk);
    },
    finish() {
      if (received !== expected.size)
        throw mismatch(`has ${received} bytes, expected ${expected.size}`);
      const actual = `sha256:${hash.digest('hex')}`;
      if (actual !== expected.digest) throw mismatch(`is ${actual}`);
    },
  };
}

/** Passes chunks on; the iteration ends well only if they were the expected ones. */
export async function* verified(
  expected: Expected,
  chunks: AsyncIterable<Uint8Array>,
  where: string,
): AsyncGenerator<Uint8Array, void> {
  const verifier = digestVerifier(expected, where);
  for await (const chunk of chunks) {
    verifier.update(chunk);
    yield chunk;
  }
  verifier.finish();
}
