// What of the state directory belongs to a backup, and where it lies. Reads directories; opens no store.
//
//   store.sqlite        as a copy of one moment
//   ca/ ca.previous/    keys and certificates of the CAs
//   admin.json          the first admin's context
//   secrets/            what templates refer to, if there is any
//   registry/           only when it is asked for

import type { Dirent } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isAbsent } from '#shared/artifact/oci/durable-file.ts';
import { Digest } from '#shared/digest.ts';
import type { BackupFile, BackupHeader } from './format.ts';

export const STORE_FILE = 'store.sqlite';
const REGISTRY = 'registry';
/** Small enough to be read at once. */
const SECRETS = ['admin.json', 'ca', 'ca.previous', 'secrets'] as const;
/** Where a restore is made ready; settle.ts. */
export const RESTORING = 'restoring';
/** Followed by random characters: where a backup keeps its copy of the store. */
export const SCRATCH = 'backup-';
const PART_OF_STORE = [`${STORE_FILE}-wal`, `${STORE_FILE}-shm`, `${STORE_FILE}-journal`];
const READ_BYTES = 256 * 1024;

/** What may stand at the top of a backup. */
export const isKept = (path: string): boolean =>
  path === STORE_FILE || [...SECRETS, REGISTRY].includes(path.split('/')[0] ?? '');

/** Whether it makes room for what a backup brings. Machines, and a registry that it lacks, stay. */
export const isReplaced = (name: string, withRegistry: boolean): boolean =>
  [STORE_FILE, ...PART_OF_STORE, ...SECRETS].includes(name) || (withRegistry && name === REGISTRY);

export interface SmallFile {
  readonly path: string;
  readonly bytes: Buffer;
}

/** Keys, certificates and credentials, in the order of their paths. */
export async function readSecrets(stateDir: string): Promise<readonly SmallFile[]> {
  const files: SmallFile[] = [];
  for (const name of SECRETS)
    for (const path of await filesUnder(stateDir, name)) {
      const bytes = await absentAsNull(readFile(join(stateDir, path)));
      if (bytes !== null) files.push({ path, bytes });
    }
  return files;
}

export const sameFiles = (one: readonly SmallFile[], other: readonly SmallFile[]): boolean =>
  one.length === other.length &&
  one.every(({ path, bytes }, at) => path === other[at]?.path && bytes.equals(other[at].bytes));

/** Names in the state directory that a backup leaves out. */
export async function leftOut(stateDir: string, withRegistry: boolean): Promise<string[]> {
  const known = [STORE_FILE, ...PART_OF_STORE, ...SECRETS, ...(withRegistry ? [REGISTRY] : [])];
  const names = await readdir(stateDir);
  return names.filter((name) => !known.includes(name) && !name.startsWith(SCRATCH)).sort();
}

/** Each blob once, in the order of digests. */
export async function registryBlobs(stateDir: string): Promise<BackupHeader['registry']['blobs']> {
  const found = new Map<Digest, number>();
  for (const path of await filesUnder(stateDir, `${REGISTRY}/repositories`)) {
    const [, hex = ''] = /\/blobs\/sha256\/([0-9a-f]{64})$/.exec(path) ?? [];
    const digest = Digest.safeParse(`sha256:${hex}`);
    if (!digest.success || found.has(digest.data)) continue;
    const info = await absentAsNull(stat(join(stateDir, path)));
    if (info !== null) found.set(digest.data, info.size);
  }
  return [...found]
    .map(([digest, sizeBytes]) => ({ digest, sizeBytes }))
    .sort((a, b) => (a.digest < b.digest ? -1 : 1));
}

/**
 * Indexes before blobs: a blob that an index names was there before it. What is deleted meanwhile is
 * left out.
 */
export async function* registryFiles(stateDir: string): AsyncGenerator<BackupFile> {
  const paths = await filesUnder(stateDir, `${REGISTRY}/repositories`);
  const isBlob = (path: string) => path.includes('/blobs/');
  for (const path of [...paths.filter((one) => !isBlob(one)), ...paths.filter(isBlob)])
    yield* fileOnDisk(join(stateDir, path), path);
}

/** One, or none when it is not there. */
export async function* fileOnDisk(from: string, path: string): AsyncGenerator<BackupFile> {
  const file = await absentAsNull(open(from, 'r'));
  if (file === null) return;
  try {
    const { size } = await file.stat();
    const bytes = file.createReadStream({ autoClose: false, highWaterMark: READ_BYTES });
    yield { path, sizeBytes: size, bytes };
  } finally {
    await file.close();
  }
}

/** Regular files at or below `name`, relative to `root`, sorted. */
async function filesUnder(root: string, name: string): Promise<readonly string[]> {
  const entries = await readdir(join(root, name), { withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException): Dirent[] | null => {
      if (error.code === 'ENOENT') return [];
      if (error.code === 'ENOTDIR') return null;
      throw error;
    },
  );
  if (entries === null) return [name];
  const found: string[] = [];
  for (const entry of entries) {
    const path = `${name}/${entry.name}`;
    if (entry.isDirectory()) found.push(...(await filesUnder(root, path)));
    else if (entry.isFile()) found.push(path);
  }
  return found.sort();
}

async function absentAsNull<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}
