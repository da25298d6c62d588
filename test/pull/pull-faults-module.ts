// Real signed modules that are right but for one thing, and a node's store to pull them into. For
// tests of pulling only.

import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { openStore } from '../../agent/store/open-store.ts';
import type { EnsureOptions, Store, StoredModule } from '../../agent/store/store.ts';
import { type TarPart, tarOf } from '../../shared/artifact/composefs/tar-testing.ts';
import { imageDigestOf } from '../../shared/artifact/module/image-digest.ts';
import { withUnpackedSize } from '../../shared/artifact/module/unpacked-size.ts';
import type { Layout } from '../../shared/artifact/oci/layout.ts';
import { MEDIA } from '../../shared/artifact/oci/media-types.ts';
import type { Descriptor } from '../../shared/artifact/oci/schema.ts';
import type { ArtifactSource } from '../../shared/artifact/oci/source.ts';
import {
  generateKeyPair,
  readSigningKey,
  type SigningKey,
} from '../../shared/artifact/signature/keys.ts';
import { signModule } from '../../shared/artifact/signature/sign.ts';
import {
  putBytes,
  temporaryDirectory,
  temporaryLayout,
} from '../../shared/artifact/signature/testing.ts';
import { type Digest, hexOf, sha256 } from '../../shared/digest.ts';
import { CODES } from '../../shared/error-codes.ts';
import { BilletError, type Code } from '../../shared/errors.ts';
import {
  LABEL_FSVERITY,
  LABEL_MODULE,
  ModuleLabel,
  ModuleRef,
} from '../../shared/schema/module.ts';
import { TrustPolicy } from '../../shared/schema/trust-policy.ts';

export interface Shop {
  readonly layout: Layout;
  readonly key: SigningKey;
  readonly policy: TrustPolicy;
}

export async function openShop(context: TestContext): Promise<Shop> {
  const keys = generateKeyPair('ed25519');
  const policy = { format: 1, rules: [{ modules: ['*'], keys: [keys.publicPem] }] };
  return {
    layout: await temporaryLayout(context),
    key: readSigningKey(keys.privatePem),
    policy: TrustPolicy.parse(policy),
  };
}

/** Bytes that do not compress, the same for the same seed. */
export function noise(bytes: number, seed = 'noise'): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

export interface CraftedLayer {
  readonly files: readonly TarPart[];
  readonly packing?: 'zstd' | 'gzip' | 'none';
  /** Changes what the signed manifest says of the layer. */
  readonly describe?: (layer: Descriptor) => Descriptor;
}

export interface Craft {
  readonly name?: string;
  readonly layers: readonly CraftedLayer[];
  readonly label?: Readonly<Record<string, unknown>>;
  /** Instead of the right ones. */
  readonly diffIds?: readonly Digest[];
}

export interface Crafted {
  readonly ref: ModuleRef;
  /** As the manifest describes them. */
  readonly layers: readonly Descriptor[];
  readonly config: Descriptor;
}

const PACKING = {
  zstd: { mediaType: MEDIA.layerZstd, pack: (tar: Buffer) => zstdCompressSync(tar) },
  gzip: { mediaType: MEDIA.layerGzip, pack: (tar: Buffer) => gzipSync(tar, { level: 6 }) },
  none: { mediaType: MEDIA.layerTar, pack: (tar: Buffer) => tar },
};

/** Packs, describes, labels and signs, as `billet module seal` and `sign` do. */
export async function craft(shop: Shop, request: Craft): Promise<Crafted> {
  const { layout, key } = shop;
  const { name = 'app', layers, label = {} } = request;
  const tars = layers.map(({ files }) => tarOf(...files));
  const right: Descriptor[] = [];
  for (const [index, { packing = 'zstd' }] of layers.entries()) {
    const { mediaType, pack } = PACKING[packing];
    const tar = tars[index] ?? Buffer.alloc(0);
    right.push(withUnpackedSize(await putBytes(layout, mediaType, pack(tar)), tar.length));
  }
  const { digest: image } = await imageDigestOf(layout, right, tars.map(sha256));
  const described = right.map((layer, index) => layers[index]?.describe?.(layer) ?? layer);
  const parsed = ModuleLabel.parse({
    ...{ format: 1, name, version: '1.0.0', sequence: 1, kind: 'system' },
    ...label,
  });
  const Labels = { [LABEL_MODULE]: JSON.stringify(parsed), [LABEL_FSVERITY]: hexOf(image) };
  const diffIds = request.diffIds ?? tars.map(sha256);
  const rootfs = { type: 'layers', diff_ids: diffIds };
  const configBytes = Buffer.from(JSON.stringify({ config: { Labels }, rootfs }));
  const config = await putBytes(layout, MEDIA.config, configBytes);
  const document = { schemaVersion: 2, mediaType: MEDIA.manifest, config, layers: described };
  const bytes = Buffer.from(JSON.stringify(document));
  const { digest: manifest } = await layout.putManifest(bytes, MEDIA.manifest, name);
  await signModule(layout, manifest, key, `test/${name}`, ['simple-signing']);
  const { kind, version } = parsed;
  const ref = ModuleRef.parse({ name, kind, version, repository: 'team/app', manifest, image });
  return { ref, layers: described, config };
}

/** A module with a file in the image, some objects, and one that spans slabs. */
export const ordinary = (seed = 'ordinary', bytes = 300_000): CraftedLayer => ({
  files: [
    { name: 'etc/', type: '5', mode: 0o755 },
    { name: 'etc/name', body: `${seed}\n` },
    { name: 'usr/tool', body: noise(5000, seed) },
    { name: 'usr/large', body: noise(bytes, `${seed} large`) },
  ],
});

export interface PullNode {
  readonly dir: string;
  readonly store: Store;
  pull(
    ref: ModuleRef,
    source: ArtifactSource,
    options?: Partial<EnsureOptions>,
  ): Promise<StoredModule>;
  /** Everything that could be used, or that is half done. */
  leftovers(): Promise<string[]>;
}

export async function pullNode(
  context: TestContext,
  { policy }: Pick<Shop, 'policy'>,
  within?: string,
): Promise<PullNode> {
  const dir = join(within ?? (await temporaryDirectory(context)), 'store');
  const store = await openStore({ dir });
  context.after(() => store.close());
  return {
    dir,
    store,
    pull: (ref, source, options = {}) =>
      store.ensureModule(ref, { policy, source, signal: AbortSignal.timeout(30_000), ...options }),
    leftovers: async () =>
      (
        await Promise.all(['modules', 'images', 'tmp'].map((part) => readdir(join(dir, part))))
      ).flat(),
  };
}

/** A refusal is a code of the table, a message, and a hint that says what to do next. */
export async function refused(
  work: Promise<unknown>,
  code: Code,
  message: RegExp = /./,
): Promise<BilletError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof BilletError, String(error));
    assert.equal(error.code, code, error.message);
    assert.ok(Object.hasOwn(CODES, error.code) && error.hint.length > 10, error.hint);
    assert.match(error.message, message);
    return error;
  }
  assert.fail(`not refused; ${code} was expected`);
}
