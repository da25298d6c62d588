// Uploads in progress: a file each, that grows by what arrives and survives a restart. Nothing here
// is a blob before its digest is right. One request writes to an upload at a time.

import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isAbsent, syncDirectory, writeAll } from '#shared/artifact/oci/durable-file.ts';
import type { Clock } from '#shared/clock.ts';
import { Digest } from '#shared/digest.ts';
import { directoryName } from './repositories.ts';

/** Uploads that nobody continued for this long are removed. */
const ABANDONED_MS = 24 * 60 * 60 * 1000;

export type AppendResult =
  | { readonly kind: 'ok'; readonly sizeBytes: number }
  /** `cut`: the connection broke; what arrived is kept. */
  | { readonly kind: 'busy' | 'unknown' | 'too-large' | 'cut'; readonly sizeBytes: number };

export interface Uploads {
  begin(repository: string): Promise<string>;
  /** Bytes on disk, or null for an upload that is not there. */
  size(repository: string, id: string): Promise<number | null>;
  /** Adds chunks at the end, synced when it resolves. */
  append(repository: string, id: string, chunks: AsyncIterable<Uint8Array>): Promise<AppendResult>;
  /** Digest of all that arrived. */
  digest(repository: string, id: string): Promise<Digest>;
  path(repository: string, id: string): string;
  cancel(repository: string, id: string): Promise<void>;
  removeAbandoned(): Promise<number>;
}

export function openUploads(directory: string, limitBytes: number, clock: Clock): Uploads {
  const busy = new Set<string>();
  /** Hashes of uploads that this process wrote from their first byte on. */
  const running = new Map<string, { readonly hash: Hash; sizeBytes: number }>();
  const path = (repository: string, id: string) => join(directory, directoryName(repository), id);

  const size = async (repository: string, id: string): Promise<number | null> => {
    try {
      return (await stat(path(repository, id))).size;
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
  };

  /** Writes until the end, the limit or a broken connection; returns how it ended. */
  const fill = async (
    target: string,
    id: string,
    start: number,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<AppendResult> => {
    const known = start === 0 ? { hash: createHash('sha256'), sizeBytes: 0 } : running.get(id);
    if (known !== undefined) running.set(id, known);
    let sizeBytes = start;
    let kind: AppendResult['kind'] = 'ok';
    const file = await open(target, 'a');
    try {
      const iterator = chunks[Symbol.asyncIterator]();
      for (;;) {
        const next = await iterator.next().catch(() => null);
        if (next === null) kind = 'cut';
        if (next === null || next.done) break;
        if (sizeBytes + next.value.length > limitBytes) {
          kind = 'too-large';
          break;
        }
        await writeAll(file, next.value);
        known?.hash.update(next.value);
        sizeBytes += next.value.length;
        if (known !== undefined) known.sizeBytes = sizeBytes;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    return { kind, sizeBytes };
  };

  return {
    path,
    size,

    async begin(repository) {
      const id = randomUUID();
      const parent = join(directory, directoryName(repository));
      await mkdir(parent, { recursive: true });
      await (await open(path(repository, id), 'wx')).close();
      await syncDirectory(parent);
      return id;
    },

    async append(repository, id, chunks) {
      if (busy.has(id)) return { kind: 'busy', sizeBytes: 0 };
      busy.add(id);
      try {
        const start = await size(repository, id);
        if (start === null) return { kind: 'unknown', sizeBytes: 0 };
        return await fill(path(repository, id), id, start, chunks);
      } finally {
        busy.delete(id);
      }
    },

    async digest(repository, id) {
      const known = running.get(id);
      if (known !== undefined && known.sizeBytes === (await size(repository, id)))
        return Digest.parse(`sha256:${known.hash.copy().digest('hex')}`);
      const hash = createHash('sha256');
      for await (const chunk of createReadStream(path(repository, id), { highWaterMark: 1 << 20 }))
        hash.update(chunk);
      return Digest.parse(`sha256:${hash.digest('hex')}`);
    },

    async cancel(repository, id) {
      running.delete(id);
      await rm(path(repository, id), { force: true });
    },

    async removeAbandoned() {
      let removed = 0;
      for (const repository of await readdir(directory).catch(() => []))
        for (const id of await readdir(join(directory, repository))) {
          const file = join(directory, repository, id);
          const idleMs = clock.now() - (await stat(file)).mtimeMs;
          if (idleMs < ABANDONED_MS || busy.has(id)) continue;
          await rm(file, { force: true });
          running.delete(id);
          removed += 1;
        }
      return removed;
    },
  };
}
