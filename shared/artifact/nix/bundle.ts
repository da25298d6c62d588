// A flake as an OCI artifact of its own type: one layer with a tar of it, and in the annotations what rules
// of a trust policy and floors go by. Signed and verified as modules and boot images are.

import { Readable } from 'node:stream';
import { createZstdDecompress, zstdCompressSync } from 'node:zlib';
import { z } from 'zod';
import { assertDigest, type Digest, sha256 } from '../../digest.ts';
import { ModuleName } from '../../schema/module.ts';
import type { TrustPolicy } from '../../schema/trust-policy.ts';
import { EMPTY_DESCRIPTOR, EMPTY_JSON } from '../boot/manifest.ts';
import { MEDIA } from '../oci/media-types.ts';
import { type Descriptor, parseImageManifest } from '../oci/schema.ts';
import type { ArtifactSource, ArtifactTarget, ManifestContent } from '../oci/source.ts';
import { assertNotOlder, assertSigned, type Finding, tolerate } from '../signature/checks.ts';
import type { SigningKey } from '../signature/keys.ts';
import { signManifest } from '../signature/sign.ts';
import { BUNDLE_LIMIT_BYTES, bundleError, type FlakeFile } from './flake-files.ts';
import { flakeTar, readFlakeTar } from './flake-tar.ts';

const BUNDLE_TYPE = 'application/vnd.billet.nix-flake.v1';
const LAYER_TYPE = 'application/vnd.billet.nix-flake.v1.tar+zstd';

export const BundleRelease = z.object({
  name: ModuleName,
  version: z.string().min(1).max(128),
  /** Older ones than the policy's minimum are refused. */
  sequence: z.int().nonnegative(),
});
export type BundleRelease = z.infer<typeof BundleRelease>;

const Annotations = z.object({
  'dev.billet.bundle.name': BundleRelease.shape.name,
  'org.opencontainers.image.version': BundleRelease.shape.version,
  'dev.billet.bundle.sequence': z
    .string()
    .regex(/^(0|[1-9]\d{0,14})$/)
    .transform(Number),
});

export interface Bundle extends BundleRelease {
  /** Of the manifest: what a node asks for. */
  readonly digest: Digest;
  readonly layer: Descriptor;
}

/** The same files and release have the same digest. Throws NIX_BUNDLE_INVALID. */
export async function pushBundle(
  target: ArtifactTarget,
  files: readonly FlakeFile[],
  release: BundleRelease,
  tag: string,
): Promise<Bundle> {
  const bytes = zstdCompressSync(flakeTar(files));
  const layer = { mediaType: LAYER_TYPE, digest: sha256(bytes), size: bytes.length };
  for (const [descriptor, content] of [
    [EMPTY_DESCRIPTOR, EMPTY_JSON],
    [layer, bytes],
  ] as const)
    await target.putBlob(descriptor, async function* () {
      yield content;
    });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      artifactType: BUNDLE_TYPE,
      config: EMPTY_DESCRIPTOR,
      layers: [layer],
      annotations: {
        'dev.billet.bundle.name': release.name,
        'dev.billet.bundle.sequence': String(release.sequence),
        'org.opencontainers.image.version': release.version,
      },
    }),
  );
  const { digest } = await target.putManifest(manifest, MEDIA.manifest, tag);
  return { ...release, digest, layer };
}

/** Throws OCI_INVALID, NIX_BUNDLE_INVALID. */
export function parseBundle(content: ManifestContent): Bundle {
  const what = `the manifest ${content.digest}`;
  const manifest = parseImageManifest(content.bytes, content.mediaType, what);
  const annotations = Annotations.safeParse(manifest.annotations ?? {});
  const [layer, ...others] = manifest.layers;
  if (manifest.artifactType !== BUNDLE_TYPE || layer?.mediaType !== LAYER_TYPE || others.length > 0)
    throw bundleError(`${what} is no flake bundle`);
  if (!annotations.success) throw bundleError(`${what} does not say which release it is`);
  if (layer.size > BUNDLE_LIMIT_BYTES) throw bundleError(`${layer.size} bytes are too many`);
  return {
    name: annotations.data['dev.billet.bundle.name'],
    version: annotations.data['org.opencontainers.image.version'],
    sequence: annotations.data['dev.billet.bundle.sequence'],
    digest: content.digest,
    layer,
  };
}

/** Signing again adds nothing. */
export async function signBundle(
  target: ArtifactTarget,
  reference: string,
  key: SigningKey,
  identity: string,
): Promise<Bundle> {
  const content = await target.manifest(reference);
  const bundle = parseBundle(content);
  await signManifest(target, content, { key, identity });
  return bundle;
}

export interface FetchedBundle {
  readonly bundle: Bundle;
  readonly files: readonly FlakeFile[];
  /** Empty in mode enforce. */
  readonly findings: readonly Finding[];
}

/**
 * By digest, whole and checked before a file of it is handed over. Throws DIGEST_MISMATCH, OCI_INVALID,
 * NIX_BUNDLE_INVALID, TAR_INVALID; SIGNATURE_MISSING, SIGNATURE_INVALID and VERSION_REFUSED as for modules.
 */
export async function fetchBundle(
  source: ArtifactSource,
  digest: Digest,
  policy: TrustPolicy,
): Promise<FetchedBundle> {
  const findings: Finding[] = [];
  const content = await source.manifest(digest);
  assertDigest(content.bytes, digest, `the manifest from ${source.name}`);
  const bundle = parseBundle(content);
  await tolerate(policy, findings, () =>
    assertSigned(source, content, policy, bundle.name, 'billet bundle sign'),
  );
  await tolerate(policy, findings, () => assertNotOlder(policy, {}, digest, bundle));
  const chunks: Uint8Array[] = [];
  for await (const chunk of source.blob(bundle.layer)) chunks.push(chunk);
  const tar = Readable.from(chunks).compose(createZstdDecompress());
  return { bundle, findings, files: await readFlakeTar(tar) };
}
