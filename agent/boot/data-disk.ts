// The data directory of a boot: the disk labelled billet-persist if there is one, unlocked where it is
// encrypted, else ext4 with fs-verity in memory. Store, state and /var data lie in it.

import { mkdir } from 'node:fs/promises';
import { BilletError } from '#shared/errors.ts';
import type { Exec } from '../drivers/exec.ts';
import { checkExt4, findByLabel, makeVolatileExt4 } from '../drivers/ext4.ts';
import { findLuks, LUKS_LABEL } from '../drivers/luks.ts';
import type { Mounts } from '../drivers/mounts.ts';
import { listPartitions, type Partition } from '../drivers/partitions.ts';
import { makeRamDisk, RAM_DISK } from '../drivers/ram-disk.ts';
import type { RunPaths } from '../handover.ts';

const PERSIST_LABEL = 'billet-persist';

export interface DataDisk {
  readonly kind: 'persist' | 'memory';
  /** With the file system. */
  readonly device: string;
  /** Where that device is: another one, where it is encrypted. */
  readonly partition: string;
}

export interface DataDiskDeps {
  readonly paths: RunPaths;
  readonly mounts: Mounts;
  readonly exec: Exec;
  readonly memoryBytes: () => Promise<number>;
  /** The disk that this boot was started from: its data are there and nowhere else. Null: any disk's. */
  readonly bootDisk: string | null;
  /**
   * Gives the device with the content. Waits for a key where the machine was started from that disk;
   * throws PERSIST_LOCKED otherwise.
   */
  readonly openVault: (partition: string, signal: AbortSignal) => Promise<string>;
  readonly warn: (error: unknown) => void;
  readonly findPersist?: typeof findPersist;
}

/** A partition, or a whole disk. */
export interface Persist {
  readonly device: string;
  readonly encrypted: boolean;
}

/** Null: there is none, or not yet. */
export async function findPersist(bootDisk: string | null): Promise<Persist | null> {
  if (bootDisk !== null) return persistOn(bootDisk, await listPartitions());
  const plain = await findByLabel(PERSIST_LABEL);
  if (plain !== null) return { device: plain.device, encrypted: false };
  const device = await findLuks();
  return device === null ? null : { device, encrypted: true };
}

/** By the names of its partitions: another disk may bear the label, too. */
export function persistOn(disk: string, partitions: readonly Partition[]): Persist | null {
  const names = [PERSIST_LABEL, LUKS_LABEL];
  const found = partitions.find((each) => each.disk === disk && names.includes(each.name ?? ''));
  return found === undefined
    ? null
    : { device: found.device, encrypted: found.name === LUKS_LABEL };
}

/** Of memory: the files of the system and what the kernel reads of them, and room for work. */
const MEMORY_SHARE = 0.7;
const FLAGS = ['nosuid', 'nodev', 'noatime'] as const;

/** Mounts it, unless it is mounted. Throws STORE_FAILED, MOUNT_FAILED, UNSUPPORTED. */
export async function openDataDisk(deps: DataDiskDeps, signal: AbortSignal): Promise<DataDisk> {
  const { paths, mounts } = deps;
  await mkdir(paths.data, { recursive: true, mode: 0o700 });
  const earlier = (await mounts.table()).find(({ target }) => target === paths.data);
  if (earlier !== undefined) {
    const { source: device } = earlier;
    return { kind: device === RAM_DISK ? 'memory' : 'persist', device, partition: device };
  }
  const persist = await (deps.findPersist ?? findPersist)(deps.bootDisk);
  if (persist === null && deps.bootDisk !== null) throw missing(deps.bootDisk);
  const disk =
    (persist === null ? null : await onDisk(deps, persist, signal)) ??
    (await inMemory(deps, signal));
  for (const [dir, mode] of [
    [paths.store, 0o755],
    [paths.state, 0o700],
    [paths.var, 0o755],
  ] as const)
    await mkdir(dir, { recursive: true, mode });
  return disk;
}

/** Null where it is locked, and no part of what this boot is: an installation may begin it anew. */
async function onDisk(
  deps: DataDiskDeps,
  persist: Persist,
  signal: AbortSignal,
): Promise<DataDisk | null> {
  const { exec, mounts, paths } = deps;
  const device = await contentOf(deps, persist, signal);
  if (device === null) return null;
  await checkExt4(device, exec, signal);
  mounts.mount({
    source: device,
    target: paths.data,
    type: 'ext4',
    flags: FLAGS,
  });
  return { kind: 'persist', device, partition: persist.device };
}

async function contentOf(
  { openVault, bootDisk, warn }: DataDiskDeps,
  { device, encrypted }: Persist,
  signal: AbortSignal,
): Promise<string | null> {
  if (!encrypted) return device;
  try {
    return await openVault(device, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (bootDisk !== null || !(error instanceof BilletError) || error.code !== 'PERSIST_LOCKED')
      throw error;
    warn(error);
    return null;
  }
}

async function inMemory(
  { exec, mounts, paths, memoryBytes }: DataDiskDeps,
  signal: AbortSignal,
): Promise<DataDisk> {
  const sizeBytes = Math.floor(((await memoryBytes()) * MEMORY_SHARE) / 4096) * 4096;
  const device = await makeRamDisk(sizeBytes, exec, signal);
  await makeVolatileExt4(device, exec, signal);
  mounts.mount({
    source: device,
    target: paths.data,
    type: 'ext4',
    flags: FLAGS,
  });
  return { kind: 'memory', device, partition: device };
}

/** In memory it would be another machine, which knows nobody. */
const missing = (disk: string): BilletError =>
  new BilletError(
    'STORE_FAILED',
    `${disk}, which this boot was started from, has no data partition`,
    {
      hint: `install it anew: billet instance install NAME; or put the partition back: lsblk -o +PARTLABEL /dev/${disk}`,
      details: { disk },
    },
  );
