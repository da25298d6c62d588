// Small sealed modules in a layout, for tests. Imported by tests only.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Digest, sha256 } from '../../digest.ts';
import { LABEL_FSVERITY, LABEL_MODULE } from '../../schema/module.ts';
import { type Layout, openLayout } from '../oci/layout.ts';
import { MEDIA } from '../oci/media-types.ts';

/** An empty layout that is gone after the test. */
export async function temporaryLayout(test: TestContext): Promise<Layout> {
  return await openLayout(await temporaryDirectory(test), { create: true });
}

export async function temporaryDirectory(test: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-'));
  test.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

export interface ModuleOptions {
  readonly name?: string;
  readonly sequence?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly layer?: Buffer;
}

/** An image with both labels and one small layer, tagged with its name. Its digest. */
export async function putModule(layout: Layout, options: ModuleOptions = {}): Promise<Digest> {
  const {
    name = 'base',
    sequence = 1,
    layer = Buffer.from('no tar, and nobody unpacks it'),
  } = options;
  const label = { format: 1, name, version: '1.0.0', sequence, kind: 'system' };
  const Labels = {
    [LABEL_MODULE]: JSON.stringify(label),
    [LABEL_FSVERITY]: '0'.repeat(64),
    ...options.labels,
  };
  const config = Buffer.from(
    JSON.stringify({ config: { Labels }, rootfs: { type: 'layers', diff_ids: [sha256(layer)] } }),
  );
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: await putBytes(layout, MEDIA.config, config),
    layers: [await putBytes(layout, MEDIA.layerTar, layer)],
  };
  return (await layout.putManifest(Buffer.from(JSON.stringify(manifest)), MEDIA.manifest, name))
    .digest;
}

export async function putBytes(layout: Layout, mediaType: string, bytes: Uint8Array) {
  const descriptor = { mediaType, digest: sha256(bytes), size: bytes.length };
  await layout.putBlob(descriptor, async function* () {
    yield bytes;
  });
  return descriptor;
}
