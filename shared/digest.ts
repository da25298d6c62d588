// SHA-256 digests as OCI writes them. Content is named by what it is, never by where it lies.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { BilletError } from './errors.ts';

/** `sha256:` and 64 lower-case hexadecimal digits (OCI image-spec, descriptor.md, "Digests"). */
export const Digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'a digest is sha256: and 64 lower-case hexadecimal digits')
  .brand<'Digest'>();
export type Digest = z.infer<typeof Digest>;

export function sha256(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
}

/** The 64 digits without the algorithm. */
export const hexOf = (digest: Digest): string => digest.slice('sha256:'.length);

export const digestOfHex = (hex: string): Digest => Digest.parse(`sha256:${hex}`);

/** Throws DIGEST_MISMATCH, naming `what`, when the bytes are not those of `expected`. */
export function assertDigest(bytes: Uint8Array, expected: Digest, what: string): void {
  const actual = sha256(bytes);
  if (actual !== expected)
    throw new BilletError('DIGEST_MISMATCH', `${what} is ${actual}, expected ${expected}`, {
      hint: 'pull it again; if it stays so, push the content again',
      details: { what, expected, actual },
    });
}
