// Uploads in progress: a file each, that grows by what arrives and survives a restart. Nothing here
// is a blob before its digest is right. One request works on an upload at a time: the newest, since
// a client that comes again has lost the connection that it had.

import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { isAbsent, writeAll } from '#shared/artifact/oci/durable-file.ts';
import type { Clock } from '#shared/clock.ts';
import { Digest } from '#shared/digest.ts';
import { syncDirectory } from '#shared/sync-directory.ts';
import { directoryName } from './repositories.ts';

/** Uploads that nobody continued for this long are removed. */
const ABANDONED_MS = 24 * 60 * 60 * 1000;

/** What a request adds, and where it says that this belongs. */
export interface Part {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Offsets of its first and last byte; null when it does not say. */
  readonly range: { readonly first: number; readonly last: number } | null;
}

export interface AppendResult {
  /**
   * `cut`: the connection broke; what arrived is kept. `misplaced`: the part does not begin where the
   * upload ends. `wrong-length`: it was not as long as its range. Of these two nothing is kept, and
   * of what is `too-large`, the part. `unknown`: there is no such upload.
   */
  readonly kind: 'ok' | 'cut' | 'misplaced' | 'wrong-length' | 'too-large' | 'unknown';
  /** Bytes of the upload by now. */
  readonly sizeBytes: number;
}

export interface Uploads {
  begin(repository: string): Promise<string>;
  /** Bytes on disk, or null for an upload that is not there. */
  size(repository: string, id: string): Promise<number | null>;
  /** Does `work` alone on that upload. What is at work is told to `stop`, and waited for. */
  takeOver<T>(id: string, stop: () => void, work: () => Promise<T>): Promise<T>;
  /** Adds a part at the end, synced when it resolves. Only within `takeOver`, as what follows. */
  append(repository: string, id: string, part: Part): Promise<AppendResult>;
  /** Digest of all that arrived. */
  digest(repository: string, id: string): Promise<Digest>;
  path(repository: string, id: string): string;
  remove(repository: string, id: string): Promise<void>;
  removeAbandoned(): Promise<number>;
}

export function openUploads(directory: string, limitBytes: number, clock: Clock): Uploads {
  const busy = new Map<string, { readonly stop: () => void; readonly done: Promise<void> }>();
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

  /** The hash of the first `start` bytes, if it is at hand. */
  const hashAt = (id: string, start: number) => {
    const known = start === 0 ? { hash: createHash('sha256'), sizeBytes: 0 } : running.get(id);
    running.delete(id); // a write that fails leaves none behind
    return known?.sizeBytes === start ? known : undefined;
  };

  /** Writes until the end, the limit or a broken connection; says how it ended. */
  const fill = async (
    target: string,
    id: string,
    start: number,
    { chunks, range }: Part,
  ): Promise<AppendResult> => {
    const known = hashAt(id, start);
    const lengthBytes = range === null ? null : range.last - range.first + 1;
    const endBytes = lengthBytes === null ? limitBytes : Math.min(start + lengthBytes, limitBytes);
    let sizeBytes = start;
    let kind: AppendResult['kind'] = 'ok';
    const file = await open(target, 'a');
    try {
      const iterator = chunks[Symbol.asyncIterator]();
      for (;;) {
        const next = await iterator.next().catch(() => null);
        if (next === null) kind = 'cut';
        if (next === null || next.done) break;
        if (sizeBytes + next.value.length > endBytes) {
          kind = endBytes === limitBytes ? 'too-large' : 'wrong-length';
          break;
        }
        await writeAll(file, next.value);
        known?.hash.update(next.value);
        sizeBytes += next.value.length;
      }
      if (kind === 'ok' && lengthBytes !== null && sizeBytes - start !== lengthBytes)
        kind = 'wrong-length';
      if (kind === 'too-large' || kind === 'wrong-length') await file.truncate(start);
      await file.sync();
    } catch (error) {
      await truncate(target, start); // a full disk: the part may come again
      throw error;
    } finally {
      await file.close();
    }
    if (kind === 'too-large' || kind === 'wrong-length') return { kind, sizeBytes: start };
    if (known !== undefined) running.set(id, { hash: known.hash, sizeBytes });
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

    async takeOver(id, stop, work) {
      for (let other = busy.get(id); other !== undefined; other = busy.get(id)) {
        other.stop();
        await other.done;
      }
      const { promise: done, resolve } = Promise.withResolvers<void>();
      busy.set(id, { stop, done });
      try {
        return await work();
      } finally {
        busy.delete(id);
        resolve();
      }
    },

    async append(repository, id, part) {
      const start = await size(repository, id);
      if (start === null) return { kind: 'unknown', sizeBytes: 0 };
      if (part.range !== null && part.range.first !== start)
        return { kind: 'misplaced', sizeBytes: start };
      return await fill(path(repository, id), id, start, part);
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

    async remove(repository, id) {
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
