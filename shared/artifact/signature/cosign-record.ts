// What cosign's own formats, older than the sigstore bundle, say beside a signature: certificate and
// log entry, as annotations of a `.sig` layer or fields of a `sign-blob --bundle` file. Source:
// sigstore/cosign specs/SIGNATURE_SPEC.md, "Properties". Read into a bundle; proves nothing itself.

import { X509Certificate } from 'node:crypto';
import { type Bundle, type TransparencyLogEntry, toMessageSignatureBundle } from '@sigstore/bundle';
import { z } from 'zod';
import { type Digest, hexOf } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { parseDocument } from '../oci/schema.ts';
import { readClaims } from './claims.ts';

/** A log entry whose time and place Rekor signed. */
const RekorBundle = z.object({
  SignedEntryTimestamp: z.base64(),
  Payload: z.object({
    body: z.base64(),
    integratedTime: z.int().nonnegative(),
    logIndex: z.int().nonnegative(),
    logID: z.string().regex(/^[0-9a-f]{64}$/),
  }),
});
type RekorBundle = z.infer<typeof RekorBundle>;

/** A file that cosign's `sign-blob --bundle` writes without `--new-bundle-format`. */
const CosignBundle = z.object({
  base64Signature: z.base64().min(1),
  /** PEM, in base64. */
  cert: z.base64().optional(),
  rekorBundle: RekorBundle.nullish(),
});

export interface CosignRecord {
  readonly signature: Buffer;
  /** PEM; null where a key signed. */
  readonly certificate: string | null;
  readonly rekor: RekorBundle | null;
}

/** The beginning of every entry's body in Rekor. */
const Kind = z.object({ kind: z.string(), apiVersion: z.string() });

/** Throws SIGNATURE_INVALID for what is no bundle of cosign's. */
export function parseCosignBundle(bytes: Uint8Array): CosignRecord {
  try {
    const { base64Signature, cert, rekorBundle } = parseDocument(CosignBundle, bytes, 'the bundle');
    return {
      signature: Buffer.from(base64Signature, 'base64'),
      certificate: cert ? Buffer.from(cert, 'base64').toString('latin1') : null,
      rekor: rekorBundle ?? null,
    };
  } catch (cause) {
    throw unreadable('neither a sigstore bundle nor one of cosign', cause);
  }
}

/** Annotations of a `.sig` layer that a certificate signed; null for one that a key signed. */
export function recordOfLayer(
  signature: Buffer,
  annotations: Readonly<Record<string, string>>,
): CosignRecord | null {
  const certificate = annotations['dev.sigstore.cosign/certificate'] ?? null;
  if (certificate === null) return null;
  const text = annotations['dev.sigstore.cosign/bundle'];
  const rekor = text === undefined ? null : readClaims(RekorBundle, Buffer.from(text));
  return { signature, certificate, rekor };
}

/** The same as a bundle for content of that digest. Throws SIGNATURE_INVALID. */
export function bundleOfRecord(record: CosignRecord, digest: Digest): Bundle {
  const message = { digest: Buffer.from(hexOf(digest), 'hex'), signature: record.signature };
  if (record.certificate === null) return toMessageSignatureBundle({ ...message, keyHint: '' });
  try {
    const certificate = new X509Certificate(record.certificate).raw;
    const bundle = toMessageSignatureBundle({ ...message, certificate });
    if (record.rekor !== null) bundle.verificationMaterial.tlogEntries.push(entryOf(record.rekor));
    return bundle;
  } catch (cause) {
    throw unreadable('a certificate or log entry that cannot be read', cause);
  }
}

/** An entry with an inclusion promise, and no proof: cosign's own formats keep none. */
function entryOf({ SignedEntryTimestamp, Payload }: RekorBundle): TransparencyLogEntry {
  const canonicalizedBody = Buffer.from(Payload.body, 'base64');
  const kind = readClaims(Kind, canonicalizedBody);
  return {
    logIndex: String(Payload.logIndex),
    logId: { keyId: Buffer.from(Payload.logID, 'hex') },
    kindVersion: { kind: kind?.kind ?? '', version: kind?.apiVersion ?? '' },
    integratedTime: String(Payload.integratedTime),
    inclusionPromise: { signedEntryTimestamp: Buffer.from(SignedEntryTimestamp, 'base64') },
    inclusionProof: undefined,
    canonicalizedBody,
  };
}

const unreadable = (message: string, cause: unknown) =>
  new BilletError('SIGNATURE_INVALID', message, {
    hint: 'sign again, with `billet module sign` or cosign 2.5',
    cause,
  });
