// What passes between the main thread and the threads that write and check objects. Data only.

/** One piece of a file in a slab. The pieces of a file are in order, on one thread. */
export interface Segment {
  /** Unique in its ingest. */
  readonly file: number;
  readonly offset: number;
  readonly length: number;
  /** The file is complete with this piece. */
  readonly last: boolean;
}

export type Request =
  /** Write pieces of files; seal and name those that end. */
  | {
      readonly kind: 'write';
      readonly ingest: string;
      /** Shared: the sender leaves it alone until the answer. */
      readonly buffer: SharedArrayBuffer;
      readonly segments: readonly Segment[];
      /** Files that will not be completed. */
      readonly dropped: readonly number[];
    }
  /** Close and forget what is open for an ingest. */
  | { readonly kind: 'drop'; readonly ingest: string }
  /** Which of these objects (64 hex digits) are missing, or are not what their names say? */
  | { readonly kind: 'check'; readonly objects: readonly string[] }
  /** Is this image (64 hex digits) here whole, with every object that it refers to? */
  | { readonly kind: 'check-image'; readonly image: string }
  /** Which objects does this image refer to? Null when it is not here or not what its name says. */
  | { readonly kind: 'references'; readonly image: string };

export interface Written {
  /** Files that are in the store now, with their fs-verity digests (64 hex digits). */
  readonly ended: readonly (readonly [file: number, digestHex: string])[];
}

export interface Replies {
  readonly write: Written;
  readonly drop: null;
  readonly check: readonly string[];
  readonly 'check-image': boolean;
  readonly references: readonly string[] | null;
}

/** An error across threads: a BilletError's parts, or the text of a defect. */
export interface Fault {
  readonly code: string | null;
  readonly message: string;
  readonly hint: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export type Answer =
  | { readonly id: number; readonly reply: Replies[Request['kind']] }
  | { readonly id: number; readonly fault: Fault };

export interface ObjectThreadData {
  readonly dir: string;
  /** Whether the file system has fs-verity; else digests are computed here. */
  readonly verity: boolean;
}
