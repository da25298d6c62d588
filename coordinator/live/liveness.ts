// When each instance was last seen: memory first, written in buckets from time to time. A lost write
// costs half a minute of precision and nothing else.

import { z } from 'zod';
import { InstanceId } from '#shared/schema/ids.ts';
import { ABSENT, collection } from '../store/collection.ts';
import type { Store, Write } from '../store/store.ts';

/** A power of two. Few enough that a hundred thousand nodes fit three commits, many enough to stay small. */
const BUCKETS = 256;
const KEYS_AT_ONCE = 100;
/** What is older than this is dropped from a bucket when it is written. */
const FORGET_MS = 90 * 24 * 3_600_000;

/** Unix milliseconds by instance. */
const BucketRecord = z.record(InstanceId, z.int().nonnegative());
type Bucket = z.infer<typeof BucketRecord>;
type Times = Map<InstanceId, number>;

export interface Liveness {
  seen(instance: InstanceId, at: number): void;
  /** Of any coordinator; null when it was never seen. */
  lastSeen(instance: InstanceId): Promise<number | null>;
  /** The same of everybody, in one read. */
  all(): Promise<ReadonlyMap<InstanceId, number>>;
  /** Writes the buckets in which something is new, at most 100 keys a commit. */
  flush(now: number): Promise<void>;
}

/** FNV-1a of 32 bits, folded: any spreading will do, but all coordinators spread alike. */
function bucketOf(instance: InstanceId): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < instance.length; at += 1)
    hash = Math.imul(hash ^ instance.charCodeAt(at), 0x01000193);
  return ((hash >>> 16) ^ hash) & (BUCKETS - 1);
}

const nameOf = (bucket: number) => bucket.toString(16).padStart(2, '0');

/** Each coordinator has buckets of its own under `name`, so that no two write the same key. */
export function liveness(store: Store, name: string): Liveness {
  const buckets = collection<Bucket>(store, {
    prefix: 'seen',
    schema: BucketRecord,
    id: z.string().regex(/^[0-9a-f]{2}\/[a-z0-9][a-z0-9.-]{0,62}$/),
    version: 1,
  });
  const fresh = new Map<number, Times>();

  async function writeOf(bucket: number, times: Times, now: number): Promise<Write> {
    const id = `${nameOf(bucket)}/${name}`;
    const found = await buckets.get(id);
    const old = Object.entries(found?.record ?? {}).filter(([, at]) => at > now - FORGET_MS);
    const record = Object.fromEntries([...old, ...times]) as Bucket;
    return buckets.put(id, record, found?.revision ?? ABSENT).write;
  }

  function remember(bucket: number, instance: InstanceId, at: number): void {
    let times = fresh.get(bucket);
    if (times === undefined) {
      times = new Map();
      fresh.set(bucket, times);
    }
    times.set(instance, Math.max(at, times.get(instance) ?? 0));
  }

  return {
    seen: (instance, at) => remember(bucketOf(instance), instance, at),

    async lastSeen(instance) {
      const bucket = bucketOf(instance);
      const { items } = await buckets.list({ under: `${nameOf(bucket)}/` });
      const times = items.flatMap(({ record }) => record[instance] ?? []);
      const newest = Math.max(0, fresh.get(bucket)?.get(instance) ?? 0, ...times);
      return newest === 0 ? null : newest;
    },

    async all() {
      const newest = new Map<InstanceId, number>();
      const take = (instance: InstanceId, at: number) =>
        newest.set(instance, Math.max(at, newest.get(instance) ?? 0));
      for await (const { record } of buckets.all())
        for (const [instance, at] of Object.entries(record)) take(instance as InstanceId, at);
      for (const times of fresh.values()) for (const [instance, at] of times) take(instance, at);
      return newest;
    },

    async flush(now) {
      const dirty = [...fresh];
      fresh.clear();
      for (let at = 0; at < dirty.length; at += KEYS_AT_ONCE) {
        const part = dirty.slice(at, at + KEYS_AT_ONCE);
        try {
          const writes = part.map(([bucket, times]) => writeOf(bucket, times, now));
          // Nobody else writes these keys, so there is nothing to compare with.
          await store.commit([], await Promise.all(writes));
        } catch (error) {
          for (const [bucket, times] of dirty.slice(at))
            for (const [instance, seenAt] of times) remember(bucket, instance, seenAt);
          throw error;
        }
      }
    },
  };
}
