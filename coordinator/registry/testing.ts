// A registry on loopback over plain HTTP, and small images for it. Imported by tests only.

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { MEDIA } from '#shared/artifact/oci/media-types.ts';
import { openRegistry } from '#shared/artifact/oci/registry.ts';
import type { ArtifactTarget } from '#shared/artifact/oci/source.ts';
import { systemClock } from '#shared/clock.ts';
import { sha256 } from '#shared/digest.ts';
import { openRegistryServer } from './handler.ts';

export async function startRegistry(
  t: TestContext,
  role: 'read' | 'write' = 'write',
  maxBlobBytes?: number,
) {
  const root = await mkdtemp(join(tmpdir(), 'billet-registry-'));
  const options = {
    root,
    clock: systemClock,
    ...(maxBlobBytes === undefined ? {} : { maxBlobBytes }),
  };
  const { handle } = await openRegistryServer(options);
  const server = createServer((request, response) => void handle(request, response, { role }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(root, { recursive: true, force: true });
  });
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  const open = (repository: string, chunkBytes = 0) =>
    openRegistry({ origin, repository, clock: systemClock, random: () => 0, chunkBytes });
  return { root, origin, port, open, host: `127.0.0.1:${port}` };
}

export const bytesOf = (bytes: Uint8Array) =>
  async function* () {
    yield bytes;
  };
export const describe = (bytes: Uint8Array, mediaType: string = MEDIA.layerTar) => ({
  mediaType,
  digest: sha256(bytes),
  size: bytes.length,
});

export async function putImage(
  target: Pick<ArtifactTarget, 'putBlob' | 'putManifest'>,
  layer: Uint8Array,
  tag?: string,
  extra: object = {},
) {
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [sha256(layer)] },
    }),
  );
  await target.putBlob(describe(config, MEDIA.config), bytesOf(config));
  await target.putBlob(describe(layer), bytesOf(layer));
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: describe(config, MEDIA.config),
    layers: [describe(layer)],
    ...extra,
  };
  return await target.putManifest(Buffer.from(JSON.stringify(manifest)), MEDIA.manifest, tag);
}

export const errorCode = async (response: Response) =>
  ((await response.json()) as { errors: { code: string }[] }).errors[0]?.code;

/** Sends a part of a body that promises more, and hangs up. */
export async function cutPatch(port: number, path: string, part: Uint8Array): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => null);
  socket.write(`PATCH ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${part.length * 2}\r\n\r\n`);
  await new Promise((resolve) => socket.write(part, resolve));
  await new Promise((resolve) => setTimeout(resolve, 100));
  socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 100));
}
