// The registry on disk. Each repository is an OCI image layout of its own, so that skopeo and umoci
// read it as it is; a blob mounted across repositories is a hard link, so that the file system
// counts references and a delete in one repository never hurts another.
//
//   <root>/repositories/library+web/{oci-layout,index.json,blobs/sha256/…}   (/ is written +)
//   <root>/uploads/library+web/<uuid>                                        bytes so far
//
// One process writes. Answers are sent after fsync of file and directory.

import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Layout, openLayout } from '#shared/artifact/oci/layout.ts';
import { BilletError } from '#shared/errors.ts';

export interface Repositories {
  readonly uploadsDir: string;
  /** Null if nothing was ever pushed to it. */
  find(name: string): Promise<Layout | null>;
  findOrCreate(name: string): Promise<Layout>;
  /** Does `work` when earlier work on that repository is done: what it looked at stays so. */
  exclusive<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** In byte order. */
  names(): Promise<string[]>;
}

/** A repository name as a file name; + cannot stand in a repository name. */
export const directoryName = (name: string): string => name.replaceAll('/', '+');

export async function openRepositories(root: string): Promise<Repositories> {
  const directory = join(root, 'repositories');
  await mkdir(directory, { recursive: true });
  const opened = new Map<string, Promise<Layout>>();

  /** One object a layout, so that its changes queue behind each other. */
  const open = (name: string, create: boolean): Promise<Layout> => {
    const known = opened.get(name);
    if (known !== undefined) return known;
    const opening = openLayout(join(directory, directoryName(name)), { create });
    opened.set(name, opening);
    opening.catch(() => opened.delete(name));
    return opening;
  };

  const find = async (name: string): Promise<Layout | null> => {
    try {
      return await open(name, false);
    } catch (error) {
      if (error instanceof BilletError && error.code === 'NOT_FOUND') return null;
      throw error;
    }
  };

  const queues = new Map<string, Promise<unknown>>();
  const exclusive = <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const done = (queues.get(name) ?? Promise.resolve()).then(work);
    const settled = done.catch(() => null); // the caller gets the error; the next one starts afresh
    queues.set(name, settled);
    void settled.then(() => {
      if (queues.get(name) === settled) queues.delete(name);
    });
    return done;
  };

  return {
    uploadsDir: join(root, 'uploads'),
    exclusive,
    find,
    findOrCreate: async (name) => (await find(name)) ?? (await open(name, true)),
    async names() {
      const entries = await readdir(directory);
      return entries.map((entry) => entry.replaceAll('+', '/')).sort((a, b) => (a < b ? -1 : 1));
    },
  };
}
