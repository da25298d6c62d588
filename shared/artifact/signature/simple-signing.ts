// cosign's first form: a tag `sha256-<hex>.sig` beside the image, whose manifest has one layer for
// each signature; the layer is the signed payload (containers/image, "simple signing"), an
// annotation holds the signature. Source: sigstore/cosign specs/SIGNATURE_SPEC.md.

import { z } from 'zod';
import { type Digest, sha256 } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { MEDIA } from '../oci/media-types.ts';
import { type Descriptor, type ImageManifest, parseImageManifest } from '../oci/schema.ts';
import {
  type ArtifactSource,
  type ArtifactTarget,
  type ManifestContent,
  readBlob,
} from '../oci/source.ts';
import { claimedByBundle } from './bundle-content.ts';
import { readClaims } from './claims.ts';
import { contentOf } from './content.ts';
import { bundleOfRecord, recordOfLayer } from './cosign-record.ts';
import type { Evidence } from './evidence.ts';
import { type SigningKey, verifySignature } from './keys.ts';

const PAYLOAD_TYPE = 'application/vnd.dev.cosign.simplesigning.v1+json';
const SIGNATURE_ANNOTATION = 'dev.cosignproject.cosign/signature';
const PAYLOAD_LIMIT_BYTES = 64 * 1024;
const MAX_SIGNATURES = 32;

const Payload = z.object({
  critical: z.strictObject({
    identity: z.strictObject({ 'docker-reference': z.string() }),
    image: z.strictObject({ 'docker-manifest-digest': z.string() }),
    type: z.literal('cosign container image signature'),
  }),
  optional: z.record(z.string(), z.unknown()).nullish(),
});

export const signatureTag = (digest: Digest): string => `${digest.replace(':', '-')}.sig`;

/** Signatures under the `.sig` tag; what cannot be read is pushed to `reasons`. */
export async function* readSimpleSignatures(
  source: ArtifactSource,
  signed: ManifestContent,
  reasons: string[],
): AsyncGenerator<Evidence, void> {
  const layers = (await signatureManifest(source, signed.digest))?.layers ?? [];
  for (const layer of layers.slice(0, MAX_SIGNATURES)) {
    const evidence = await evidenceOf(source, layer, signed.digest, reasons);
    if (evidence !== null) yield evidence;
  }
}

/**
 * Adds a signature by `key` under the `.sig` tag, beside those of others. Signing twice changes
 * nothing. `identity` is what the payload calls the image (`host/repository`).
 */
export async function writeSimpleSignature(
  target: ArtifactTarget,
  signed: ManifestContent,
  key: SigningKey,
  identity: string,
): Promise<void> {
  const existing = await signatureManifest(target, signed.digest);
  for (const layer of existing?.layers ?? []) {
    const evidence = await evidenceOf(target, layer, signed.digest, []);
    if (evidence?.refute(key.public) === null) return;
  }
  const payload = payloadFor(signed.digest, identity);
  const layer: Descriptor = {
    mediaType: PAYLOAD_TYPE,
    digest: sha256(payload),
    size: payload.length,
    annotations: { [SIGNATURE_ANNOTATION]: Buffer.from(key.sign(payload)).toString('base64') },
  };
  const layers = [...(existing?.layers ?? []), layer];
  const config = Buffer.from(
    JSON.stringify({
      architecture: '',
      os: '',
      config: {},
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    }),
  );
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, digest: sha256(config), size: config.length },
    layers,
  };
  await target.putBlob(layer, () => once(payload));
  await target.putBlob(manifest.config, () => once(config));
  const bytes = Buffer.from(JSON.stringify(manifest));
  await target.putManifest(bytes, MEDIA.manifest, signatureTag(signed.digest));
}

/** The bytes that are signed: keys in the order that cosign writes. */
function payloadFor(digest: Digest, identity: string): Buffer {
  return Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': identity },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      },
      optional: null,
    }),
  );
}

async function signatureManifest(
  source: ArtifactSource,
  digest: Digest,
): Promise<ImageManifest | null> {
  const found = await source.resolve(signatureTag(digest));
  if (found === null) return null;
  const { bytes, mediaType } = await source.manifest(found.digest);
  return parseImageManifest(bytes, mediaType, 'the signature manifest');
}

async function evidenceOf(
  source: ArtifactSource,
  layer: Descriptor,
  digest: Digest,
  reasons: string[],
): Promise<Evidence | null> {
  const base64 = layer.annotations?.[SIGNATURE_ANNOTATION];
  if (layer.mediaType !== PAYLOAD_TYPE || base64 === undefined) return null;
  try {
    const payload = await readBlob(source, layer, PAYLOAD_LIMIT_BYTES);
    const signature = Buffer.from(base64, 'base64');
    const record = recordOfLayer(signature, layer.annotations ?? {});
    const certified =
      record &&
      claimedByBundle(bundleOfRecord(record, layer.digest), contentOf(payload, layer.digest));
    return {
      form: 'simple-signing',
      refute: (key) =>
        verifySignature(key, payload, signature)
          ? refuteClaims(payload, digest)
          : `not signed by ${key.id}`,
      identify(material) {
        if (certified === null) return { reason: 'signed by a key, not by a certificate' };
        const found = certified.identify(material);
        const reason = 'signer' in found ? refuteClaims(payload, digest) : null;
        return reason === null ? found : { reason };
      },
    };
  } catch (error) {
    if (!(error instanceof BilletError) || error.retryable) throw error;
    reasons.push(`simple-signing: ${error.message}`);
    return null;
  }
}

/** After the signature: nothing in an unsigned payload is believed, or even parsed. */
function refuteClaims(payload: Uint8Array, digest: Digest): string | null {
  const claims = readClaims(Payload, payload);
  if (claims === null) return 'the payload is no cosign container image signature';
  const claimed = claims.critical.image['docker-manifest-digest'];
  return claimed === digest ? null : `the signature is for ${claimed}`;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
