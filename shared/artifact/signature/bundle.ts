// The sigstore bundle v0.3, attached to a manifest as a referrer: found, and written as cosign's
// sign-blob writes it over the manifest's bytes. What a bundle proves is bundle-content.ts's.

import {
  BUNDLE_V03_MEDIA_TYPE,
  type Bundle,
  bundleToJSON,
  toMessageSignatureBundle,
} from '@sigstore/bundle';
import { hexOf, sha256 } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { MEDIA } from '../oci/media-types.ts';
import { type Descriptor, parseImageManifest } from '../oci/schema.ts';
import {
  type ArtifactSource,
  type ArtifactTarget,
  type ManifestContent,
  readBlob,
} from '../oci/source.ts';
import { BUNDLE_LIMIT_BYTES, claimedByBundle, parseBundle } from './bundle-content.ts';
import { contentOf } from './content.ts';
import type { Evidence } from './evidence.ts';
import type { SigningKey } from './keys.ts';

const MAX_BUNDLES = 32;
const EMPTY = Buffer.from('{}');

/** Bundles that refer to the manifest; what cannot be read is pushed to `reasons`. */
export async function* readBundles(
  source: ArtifactSource,
  signed: ManifestContent,
  reasons: string[],
): AsyncGenerator<Evidence, void> {
  const content = contentOf(signed.bytes, signed.digest);
  const referrers = await source.referrers(signed.digest, BUNDLE_V03_MEDIA_TYPE);
  for (const referrer of referrers.slice(0, MAX_BUNDLES))
    try {
      for (const bundle of await bundlesOf(source, referrer))
        yield { form: 'bundle', ...claimedByBundle(bundle, content) };
    } catch (error) {
      if (!(error instanceof BilletError) || error.retryable) throw error;
      reasons.push(`bundle: ${error.message}`);
    }
}

/** Attaches a bundle by `key`, unless one is there already. */
export async function writeBundle(
  target: ArtifactTarget,
  signed: ManifestContent,
  key: SigningKey,
): Promise<void> {
  for await (const evidence of readBundles(target, signed, []))
    if (evidence.refute(key.public) === null) return;
  const bundle = toMessageSignatureBundle({
    digest: Buffer.from(hexOf(signed.digest), 'hex'),
    signature: Buffer.from(key.sign(signed.bytes)),
    keyHint: key.public.hint,
  });
  const content = Buffer.from(JSON.stringify(bundleToJSON(bundle)));
  const config = { mediaType: MEDIA.empty, digest: sha256(EMPTY), size: EMPTY.length };
  const layer = { mediaType: BUNDLE_V03_MEDIA_TYPE, digest: sha256(content), size: content.length };
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    artifactType: BUNDLE_V03_MEDIA_TYPE,
    config,
    layers: [layer],
    subject: {
      mediaType: signed.mediaType,
      digest: signed.digest,
      size: signed.bytes.length,
    },
    annotations: { 'dev.sigstore.bundle.content': 'message-signature' },
  };
  await target.putBlob(config, () => once(EMPTY));
  await target.putBlob(layer, () => once(content));
  await target.putManifest(Buffer.from(JSON.stringify(manifest)), MEDIA.manifest);
}

async function bundlesOf(source: ArtifactSource, referrer: Descriptor): Promise<Bundle[]> {
  const { bytes, mediaType } = await source.manifest(referrer.digest);
  const { layers } = parseImageManifest(bytes, mediaType, 'the bundle manifest');
  const bundles: Bundle[] = [];
  for (const layer of layers.filter((each) => each.mediaType === BUNDLE_V03_MEDIA_TYPE))
    bundles.push(parseBundle(await readBlob(source, layer, BUNDLE_LIMIT_BYTES)));
  return bundles;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
