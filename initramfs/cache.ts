// What is slow to build is built once: results lie outside the tree under the hash of their inputs.
// A result is whole or absent; two builds at once both succeed, and one of them is kept.

import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface BuildContext {
  /** Absolute; made when missing. */
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  /** A sentence on what goes on now. */
  readonly say: (text: string) => void;
}

/** Anything that a result depends on, as text or bytes, each under a name. */
export type Inputs = Readonly<Record<string, string | Uint8Array>>;

export function keyOf(inputs: Inputs): string {
  const hash = createHash('sha256');
  for (const name of Object.keys(inputs).sort()) {
    const bytes = Buffer.from(inputs[name] ?? '');
    hash.update(`${name}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex').slice(0, 32);
}

/**
 * The directory `<cacheDir>/<name>-<key>`, filled by `build` unless it is there. Older results of
 * the same name are removed. On an error or an abort nothing is left.
 */
export async function cached(
  { cacheDir, say }: BuildContext,
  name: string,
  inputs: Inputs,
  build: (dir: string) => Promise<void>,
): Promise<string> {
  const key = keyOf(inputs);
  const final = join(cacheDir, `${name}-${key}`);
  if (await exists(final)) return final;
  await mkdir(cacheDir, { recursive: true });
  const draft = join(cacheDir, `.draft-${name}-${randomUUID()}`);
  await mkdir(draft);
  try {
    say(`building ${name}`);
    await build(draft);
    await rename(draft, final).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  await removeOlder(cacheDir, name, key);
  return final;
}

async function removeOlder(cacheDir: string, name: string, key: string): Promise<void> {
  const older = (await readdir(cacheDir)).filter(
    (entry) =>
      entry.startsWith(`${name}-`) && entry !== `${name}-${key}` && /-[0-9a-f]{32}$/.test(entry),
  );
  const sameName = older.filter((entry) => entry.slice(0, -33) === name);
  await Promise.all(
    sameName.map((entry) => rm(join(cacheDir, entry), { recursive: true, force: true })),
  );
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}
