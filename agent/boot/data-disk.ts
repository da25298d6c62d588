// The data directory of a boot: the disk labelled billet-persist if there is one, else ext4 with
// fs-verity in memory. Store, state and /var data lie in it.

import { mkdir } from 'node:fs/promises';
import type { Exec } from '../drivers/exec.ts';
import { checkExt4, findByLabel, makeVolatileExt4 } from '../drivers/ext4.ts';
import type { Mounts } from '../drivers/mounts.ts';
import { makeRamDisk, RAM_DISK } from '../drivers/ram-disk.ts';
import type { RunPaths } from '../handover.ts';

const PERSIST_LABEL = 'billet-persist';

export interface DataDisk {
  readonly kind: 'persist' | 'memory';
  readonly device: string;
}

export interface DataDiskDeps {
  readonly paths: RunPaths;
  readonly mounts: Mounts;
  readonly exec: Exec;
  readonly memoryBytes: () => Promise<number>;
  readonly findPersist?: (label: string) => ReturnType<typeof findByLabel>;
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
    return { kind: device === RAM_DISK ? 'memory' : 'persist', device };
  }
  const persist = await (deps.findPersist ?? findByLabel)(PERSIST_LABEL);
  const disk: DataDisk =
    persist === null ? await inMemory(deps, signal) : await onDisk(deps, persist.device, signal);
  for (const [dir, mode] of [
    [paths.store, 0o755],
    [paths.state, 0o700],
    [paths.var, 0o755],
  ] as const)
    await mkdir(dir, { recursive: true, mode });
  return disk;
}

async function onDisk(
  { exec, mounts, paths }: DataDiskDeps,
  device: string,
  signal: AbortSignal,
): Promise<DataDisk> {
  await checkExt4(device, exec, signal);
  mounts.mount({
    source: device,
    target: paths.data,
    type: 'ext4',
    flags: FLAGS,
  });
  return { kind: 'persist', device };
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
  return { kind: 'memory', device };
}
