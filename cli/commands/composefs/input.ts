// What `billet composefs` is pointed at, as a tree: a directory, an OCI layout, a layer tar, an
// image, or a dump. Looks at the content, never at the name. Stores nothing.

import { createReadStream } from 'node:fs';
import { access, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress, gunzipSync } from 'node:zlib';
import { readDirectory } from '#shared/artifact/composefs/directory.ts';
import { parseDump } from '#shared/artifact/composefs/dump-parse.ts';
import { readErofs } from '#shared/artifact/composefs/erofs-read.ts';
import { type Layer, readLayer } from '#shared/artifact/composefs/layer.ts';
import { treeOfLayers } from '#shared/artifact/composefs/layer-apply.ts';
import { digestSink } from '#shared/artifact/composefs/object-sink.ts';
import type { Tree } from '#shared/artifact/composefs/tree.ts';
import { layerTar } from '#shared/artifact/module/layer-stream.ts';
import { type Layout, openLayout } from '#shared/artifact/oci/layout.ts';
import { ImageConfig, parseDocument, parseImageManifest } from '#shared/artifact/oci/schema.ts';
import { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';

export interface InputOptions {
  /** The input is a composefs dump. */
  readonly fromFile?: boolean;
  /** Which image of a layout. */
  readonly tag?: string;
}

const CHUNK_BYTES = 1 << 20;
const CONFIG_LIMIT_BYTES = 4 << 20;
const GZIP = '1f8b';
const ZSTD = '28b52ffd';
const IMAGE = '9a6278d0';

/** Errors: NOT_FOUND, ARGUMENT_INVALID, and those of the format that is read. */
export async function readInput(path: string, options: InputOptions): Promise<Tree> {
  const kind = await stat(path).catch((cause: unknown) => {
    throw new BilletError('NOT_FOUND', `${path} cannot be read`, { hint: 'name a path', cause });
  });
  if (options.fromFile) return parseDump(await readDumpFile(path));
  if (kind.isDirectory()) {
    if (await exists(join(path, 'oci-layout'))) return await readImage(path, options.tag);
    // Only here, since loading node:ffi prints a warning.
    const { openXattrs } = await import('#shared/artifact/composefs/drivers/xattrs.ts');
    return await readDirectory(path, digestSink(), openXattrs());
  }
  const magic = await firstBytes(path);
  if (magic === IMAGE) return readErofs(await readFile(path));
  return treeOfLayers([await readTarFile(path, magic)]);
}

const exists = async (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function firstBytes(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString('hex', 0, bytesRead);
  } finally {
    await file.close();
  }
}

async function readDumpFile(path: string): Promise<Buffer> {
  const bytes = await readFile(path);
  return bytes.toString('hex', 0, 2) === GZIP ? gunzipSync(bytes) : bytes;
}

async function readTarFile(path: string, magic: string): Promise<Layer> {
  const source = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const read = async (tar: AsyncIterable<Uint8Array>) => await readLayer(tar, digestSink());
  if (magic !== ZSTD && !magic.startsWith(GZIP)) return await read(source);
  const unpack = magic === ZSTD ? createZstdDecompress : createGunzip;
  try {
    return await pipeline(source, unpack({ chunkSize: CHUNK_BYTES }), read);
  } catch (cause) {
    if (cause instanceof BilletError) throw cause;
    const hint = 'pack it again, or download it again';
    throw new BilletError('TAR_INVALID', `${path} cannot be unpacked`, { hint, cause });
  }
}

/** The image behind a tag of an OCI layout, or the only one that it has. */
async function readImage(path: string, tag: string | undefined): Promise<Tree> {
  const layout = await openLayout(path);
  const manifest = await layout.manifest(tag ?? (await onlyTag(layout)));
  const image = parseImageManifest(manifest.bytes, manifest.mediaType);
  const chunks: Uint8Array[] = [];
  if (image.config.size > CONFIG_LIMIT_BYTES)
    throw new BilletError('OCI_INVALID', `a config of ${image.config.size} bytes`, {
      hint: 'build the image again',
    });
  for await (const chunk of layout.blob(image.config)) chunks.push(chunk);
  const config = parseDocument(ImageConfig, Buffer.concat(chunks), 'the config');
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== image.layers.length)
    throw new BilletError('OCI_INVALID', 'config and manifest name different numbers of layers', {
      hint: 'build the image again',
    });
  const layers: Layer[] = [];
  for (const [index, layer] of image.layers.entries()) {
    const tar = layerTar(layout, layer, Digest.parse(diffIds[index]));
    layers.push(await readLayer(tar, digestSink()));
  }
  return treeOfLayers(layers);
}

async function onlyTag(layout: Layout): Promise<string> {
  const tags = await layout.tags();
  const [tag] = tags;
  if (tag === undefined || tags.length > 1)
    throw new BilletError('ARGUMENT_INVALID', `${layout.dir} has ${tags.length} tags`, {
      hint: `name one with --tag${tags.length > 0 ? `: ${tags.slice(0, 10).join(', ')}` : ''}`,
    });
  return tag;
}
