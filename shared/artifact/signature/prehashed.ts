// Content that is known by its digest, and perhaps by a file too large for memory. ECDSA signs a
// digest, so that P-256 needs no more than that; node:crypto takes whole messages only. For files
// given to verify-blob: what nodes check is in memory.

import type { KeyObject } from 'node:crypto';
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { p256 } from '@noble/curves/nist.js';
import { assertDigest, type Digest, digestOfHex, hexOf } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { contentOf, type SignedContent } from './content.ts';

/** What a signature by another key than P-256 makes us read into memory. */
const FILE_LIMIT_BYTES = 1024 * 1024 * 1024;

/** Content of which nothing but the digest is known: only P-256 signatures can be checked. */
export const contentOfDigest = (digest: Digest): SignedContent => ({
  digest,
  verify(key, signature) {
    if (isP256(key)) return verifyPrehashed(key, digest, signature);
    throw new BilletError(
      'UNSUPPORTED',
      `a signature by a key of type ${typeOf(key)} covers the bytes, not a digest`,
      { hint: 'name the file instead of its digest' },
    );
  },
});

/** A file, hashed as a stream. Throws ARGUMENT_INVALID when it cannot be read. */
export async function contentOfFile(file: string, signal: AbortSignal): Promise<SignedContent> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20, signal }))
      hash.update(chunk as Buffer);
  } catch (cause) {
    signal.throwIfAborted();
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new BilletError('ARGUMENT_INVALID', `cannot read ${file}: ${code}`, {
      hint: 'name a file that is there, or a digest as sha256: and 64 hexadecimal digits',
      cause,
    });
  }
  const digest = digestOfHex(hash.digest('hex'));
  return {
    digest,
    verify: (key, signature) =>
      isP256(key)
        ? verifyPrehashed(key, digest, signature)
        : contentOf(readWhole(file, digest), digest).verify(key, signature),
  };
}

/** The bytes that were hashed, and no others that came since. */
function readWhole(file: string, digest: Digest): Uint8Array {
  const { size } = statSync(file);
  if (size > FILE_LIMIT_BYTES)
    throw new BilletError('UNSUPPORTED', `${file} has ${size} bytes, over 1 GiB`, {
      hint: 'sign files of this size with a P-256 key, which signs a digest',
    });
  const bytes = readFileSync(file);
  assertDigest(bytes, digest, file);
  return bytes;
}

const isP256 = (key: KeyObject) => key.asymmetricKeyDetails?.namedCurve === 'prime256v1';

const typeOf = (key: KeyObject) =>
  key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? 'unknown';

/** ECDSA (FIPS 186-5, 6.4.2) with the signature in DER. High S is valid, as in X.509. */
function verifyPrehashed(key: KeyObject, digest: Digest, signature: Uint8Array): boolean {
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  const point = Buffer.from(`04${hexOfBase64(x)}${hexOfBase64(y)}`, 'hex');
  try {
    return p256.verify(signature, Buffer.from(hexOf(digest), 'hex'), point, {
      prehash: false,
      lowS: false,
      format: 'der',
    });
  } catch {
    return false; // no signature in DER
  }
}

const hexOfBase64 = (text: string) => Buffer.from(text, 'base64url').toString('hex');
