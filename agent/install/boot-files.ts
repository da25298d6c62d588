// The boot image that is installed: proved by its signature before a byte of it is written, and each file
// by its digest as it is written. Writes below directories that it is given.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { verifyBootArtifact } from '#shared/artifact/boot/verify.ts';
import type { Descriptor } from '#shared/artifact/oci/schema.ts';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import { BilletError } from '#shared/errors.ts';
import { syncDirectory } from '#shared/sync-directory.ts';
import { exists } from '../drivers/files.ts';
import type { InstallRequest } from './ports.ts';

export interface InstallableBoot {
  readonly uki: Descriptor;
  readonly loader: Descriptor;
  readonly source: ArtifactSource;
}

/** Throws LINK_DOWN without a coordinator, and what verifyBootArtifact throws. */
export async function verifiedBoot(
  { desired, uplink, policy, floor, imageName }: InstallRequest,
  signal: AbortSignal,
): Promise<InstallableBoot> {
  const wanted = desired.bootImage;
  if (uplink === null || wanted === null)
    throw new BilletError('LINK_DOWN', 'no coordinator to fetch the boot image from', {
      hint: 'bring the coordinator back: its registry has the boot image; it is tried again',
    });
  const source = uplink.sourceFor(wanted, signal);
  const manifest = await source.manifest(wanted.manifest);
  const request = { source, manifest, policy, wanted, floor, expectedName: imageName };
  const { uki, loader } = await verifyBootArtifact(request);
  if (uki !== null && loader !== null) return { uki, loader, source };
  throw new BilletError('INSTALL_IMAGE_INCOMPLETE', 'the boot image has no UKI or no loader', {
    hint: 'build it with `billet image build`, push, sign and publish it',
  });
}

/**
 * A file of the boot image, whole or not there: written beside its name, on the disk before it gets it.
 * One that has the right bytes stays. FAT has no modes and no links: none are asked for.
 */
export async function writeBootFile(
  path: string,
  { file, source }: { readonly file: Descriptor; readonly source: ArtifactSource },
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<void> {
  if (await hasDigest(path, file)) return onProgress(1);
  const blob = source.blob(file, {
    signal,
    onProgress: (bytes) => onProgress(file.size === 0 ? 1 : bytes / file.size),
  });
  await replace(path, blob);
}

export const writeText = (path: string, text: string): Promise<void> =>
  replace(path, [Buffer.from(text)]);

/** Whether what can be read back is what should be there. */
export async function hasDigest(path: string, { digest }: Descriptor): Promise<boolean> {
  if (!(await exists(path))) return false;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  return `sha256:${hash.digest('hex')}` === digest;
}

async function replace(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const dir = dirname(path);
  // No loader takes this for a boot image.
  const draft = join(dir, `${basename(path).slice(0, 40)}.part`);
  const handle = await open(draft, 'w');
  try {
    for await (const chunk of chunks) await handle.writeFile(chunk);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await rm(draft, { force: true });
    throw error;
  }
  await handle.close();
  await rename(draft, path);
  await syncDirectory(dir);
}
