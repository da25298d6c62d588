// ext4 file systems: finds one by its label, checks it, makes one. Mounts nothing.

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { namesIn } from '../identity/source-file.ts';
import type { Exec } from './exec.ts';

export interface Ext4 {
  readonly device: string;
  readonly label: string;
  /** Feature `verity`, and blocks of 4096 bytes as fs-verity digests here need. */
  readonly verity: boolean;
}

const SUPERBLOCK_OFFSET = 1024;
const MAGIC = 0xef53;
const RO_COMPAT_VERITY = 0x8000;

/** Sources: Linux Documentation/filesystems/ext4/super.rst. Null when it is no ext4. */
export function parseSuperblock(bytes: Buffer, device: string): Ext4 | null {
  if (bytes.length < 256 || bytes.readUInt16LE(0x38) !== MAGIC) return null;
  const blockBytes = 1024 << bytes.readUInt32LE(0x18);
  const features = bytes.readUInt32LE(0x64);
  const label = bytes.toString('latin1', 0x78, 0x88).replace(/\0.*$/s, '');
  return { device, label, verity: (features & RO_COMPAT_VERITY) !== 0 && blockBytes === 4096 };
}

/** The first disk or partition with this label, in order of kernel names; null if there is none. */
export async function findByLabel(label: string, root = '/'): Promise<Ext4 | null> {
  for (const name of await namesIn(join(root, 'sys/class/block'))) {
    if (/^(loop|ram|zram|sr|fd)/.test(name)) continue;
    const found = await probe(join(root, 'dev', name));
    if (found?.label === label) return found;
  }
  return null;
}

/** A device that is gone, empty or without a medium holds no ext4. */
async function probe(device: string): Promise<Ext4 | null> {
  const handle = await open(device, 'r').catch(() => null);
  if (handle === null) return null;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(1024), 0, 1024, SUPERBLOCK_OFFSET);
    return parseSuperblock(buffer.subarray(0, bytesRead), device);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return null;
    throw error;
  } finally {
    await handle.close();
  }
}

/** e2fsck(8): 0 clean, 1 corrected; anything else in the low bits is damage that is left. */
const REPAIRED = 1;

/** Replays the journal and repairs what can be without a person. Throws STORE_FAILED. */
export async function checkExt4(device: string, exec: Exec, signal: AbortSignal): Promise<void> {
  const gentle = await exec(['e2fsck', '-p', device], signal);
  if (gentle.code <= REPAIRED) return;
  const thorough = await exec(['e2fsck', '-y', device], signal);
  if (thorough.code <= REPAIRED) return;
  throw new BilletError(
    'STORE_FAILED',
    `${device} cannot be repaired: e2fsck ended with ${thorough.code}`,
    {
      hint: `make it anew: mkfs.ext4 -O verity -b 4096 -L billet-persist ${device}`,
      details: { device, code: thorough.code, output: thorough.stdout.slice(-2000) },
    },
  );
}

/** Without a journal: for a file system that does not outlive its memory. */
export async function makeVolatileExt4(
  path: string,
  exec: Exec,
  signal: AbortSignal,
): Promise<void> {
  const shape = ['-b', '4096', '-i', '8192', '-m', '0', '-O', 'verity,^has_journal'];
  const lazy = ['-E', 'lazy_itable_init=1,nodiscard'];
  const { code, stderr } = await exec(
    ['mke2fs', '-q', '-F', '-t', 'ext4', ...shape, ...lazy, path],
    signal,
  );
  if (code === 0) return;
  throw new BilletError('STORE_FAILED', `mke2fs ended with ${code}: ${stderr.trim()}`, {
    hint: 'give the machine more memory',
  });
}
