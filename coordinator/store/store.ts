// What the coordinator remembers: ordered keys under one revision. SQLite and etcd both implement it
// and one contract suite runs on both, so nothing above this line knows which it is.

/** A value (JSON text) and the revision that last wrote it. */
export interface Entry {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
}

/** Holds when `key` was last written at `revision`; 0 means that it does not exist. */
export interface Condition {
  readonly key: string;
  readonly revision: number;
}

export type Write =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly key: string };

/** One commit, whole: a watcher never sees half of one. No writes: a progress mark. */
export interface Commit {
  readonly revision: number;
  readonly writes: readonly Write[];
}

export interface ListOptions {
  /** The key after which the page starts: the `next` of the page before. */
  readonly after?: string;
  /** Entries at most, 1 to 1,000 (the default). A page of large values may hold fewer. */
  readonly limit?: number;
  /** Read as of this revision: the `revision` of the first page. The newest by default. */
  readonly revision?: number;
}

export interface Page {
  /** In key order, by bytes. */
  readonly entries: readonly Entry[];
  /** The store's revision as of which the page was read. */
  readonly revision: number;
  /** What to give as `after` for the next page; null on the last one. */
  readonly next: string | null;
}

/** What a copy of the store holds. */
export interface Snapshot {
  readonly historyId: string;
  /** As of which it is complete. */
  readonly revision: number;
}

/**
 * Revisions count commits from 1; an empty store is at 0. They mean something only together with
 * `historyId`: a store that was restored or replaced has another one.
 */
export interface Store {
  /** Made at random with the store; qualifies revisions, ETags and generations. */
  readonly historyId: string;

  /** The entry or null, and the revision of the store as of which that is so. */
  get(key: string): Promise<{ readonly entry: Entry | null; readonly revision: number }>;

  /**
   * Entries whose key starts with `prefix` ('' for all), all pages as of one revision. COMPACTED
   * when that revision is no longer, or not yet, in the history.
   */
  list(prefix: string, options?: ListOptions): Promise<Page>;

  /**
   * All writes or none; durable when the promise resolves. Null when a condition does not hold: read
   * again and decide again. 1 to 100 distinct keys (printable ASCII without spaces, 512 bytes at
   * most), up to 100 conditions, values JSON text of 512 KiB at most; anything else is STORE_LIMIT.
   * Deleting what does not exist is no write: no watcher sees it, and a commit of nothing else
   * leaves the revision where it is.
   */
  commit(
    conditions: readonly Condition[],
    writes: readonly Write[],
  ): Promise<{ readonly revision: number } | null>;

  /**
   * Every commit after `afterRevision` that touches `prefix`, with its writes under that prefix, in
   * order, without gaps. From time to time a progress mark (`writes` empty) says that everything up
   * to its revision was seen, so that who watches a quiet prefix can come back with a recent one.
   * Ends quietly only when `signal` aborts. COMPACTED when the history after `afterRevision` is gone
   * (also under a watcher that is too slow): list again and watch from there. UNAVAILABLE when the
   * store is closed.
   */
  watch(prefix: string, afterRevision: number, signal: AbortSignal): AsyncIterable<Commit>;

  /**
   * Forgets what only reads and watches of revisions before `beforeRevision` need: lists at that
   * revision and watches after `beforeRevision - 1` still work. Idempotent; a revision beyond the
   * newest means the newest.
   */
  compact(beforeRevision: number): Promise<void>;

  /**
   * Resolves when commits are taken. Tries to write, where none has succeeded since the last that the
   * storage refused: STORE_FULL, STORE_FAILED. No revision, and nothing that a watcher sees.
   */
  check(): Promise<void>;

  /**
   * Of an engine that is a file here: copies the whole store, as of one revision, to a new file, while
   * commits go on. STORE_FULL, STORE_FAILED, and then there is no file.
   */
  readonly snapshot?: (path: string) => Promise<Snapshot>;

  /** Waits for commits under way. Calls after it are UNAVAILABLE. */
  close(): Promise<void>;
}
