// The directory of the CA on disk: ca.key and ca.crt, made together or not at all, and refused when
// others could read the key. Knows nothing of what is in them.

import { existsSync, lstatSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BilletError } from '#shared/errors.ts';

export interface KeyFiles {
  readonly key: string;
  readonly certificate: string;
}

const KEY = 'ca.key';
const CERTIFICATE = 'ca.crt';

/** Null when there is no CA yet; CA_INVALID when there is half of one, or one that others can read. */
export async function readKeyFiles(directory: string): Promise<KeyFiles | null> {
  const [key, certificate] = [join(directory, KEY), join(directory, CERTIFICATE)];
  const present = [key, certificate].filter((path) => existsSync(path));
  if (present.length === 0) return null;
  if (present.length === 1)
    throw caInvalid(`${directory} holds ${present[0]} alone`, 'restore the other file from a copy');
  assertPrivate(key);
  return { key: await readFile(key, 'utf8'), certificate: await readFile(certificate, 'utf8') };
}

function assertPrivate(path: string): void {
  const { mode, uid } = lstatSync(path);
  const own = uid === 0 || uid === process.getuid?.();
  if ((mode & 0o170077) !== 0o100000 || !own)
    throw caInvalid(
      `${path} has mode ${(mode & 0o7777).toString(8)} and owner ${uid}; others may have read it`,
      `chmod 600 ${path} if you know that nobody did, else make a new CA`,
    );
}

/**
 * Writes both files durably: a directory beside this one is filled, synced and renamed, so that a
 * crash leaves either no CA or a whole one.
 */
export async function writeKeyFiles(directory: string, files: KeyFiles): Promise<void> {
  const fresh = `${directory}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true, mode: 0o700 });
  await writeSynced(join(fresh, KEY), files.key, 0o600);
  await writeSynced(join(fresh, CERTIFICATE), files.certificate, 0o644);
  await syncDirectory(fresh);
  await rename(fresh, directory);
  await syncDirectory(dirname(directory));
}

async function writeSynced(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export const caInvalid = (message: string, hint: string, cause?: unknown) =>
  new BilletError('CA_INVALID', message, { hint, cause });
