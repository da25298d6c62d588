// What the object store on disk offers. Types only; `open-store.ts` makes one.
//
//   objects/xx/yyyy…        file content, named by its fs-verity digest (composefs' layout), sealed
//   images/<64 hex>         EROFS metadata images, named by their fs-verity digest, sealed
//   modules/<64 hex>.json   manifest, config and signatures of a module, by manifest digest
//   tmp/                    whatever is not whole yet; emptied at open

import type { Tree } from '#shared/artifact/composefs/tree.ts';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import type { Finding } from '#shared/artifact/signature/checks.ts';
import type { Digest } from '#shared/digest.ts';
import type { Condition } from '#shared/schema/heartbeat.ts';
import type { ModuleLabel, ModuleRef } from '#shared/schema/module.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import type { Roots } from './gc.ts';

/** What decides whether a module may run here. */
export interface Trust {
  readonly policy: TrustPolicy;
  /** The highest sequence of this module in a generation that turned good. */
  readonly floor?: number | undefined;
  /** Manifests of the last good generation: exempt from the floor. */
  readonly exempt?: ReadonlySet<Digest> | undefined;
}

export interface EnsureOptions extends Trust {
  readonly source: ArtifactSource;
  readonly signal: AbortSignal;
  /** Compressed bytes of the module's layers. Called often. */
  readonly onProgress?: ((bytesDone: number, bytesTotal: number) => void) | undefined;
}

/** A module whose signature was checked, and whose tree has the digest that the label says. */
export interface StoredModule {
  readonly ref: ModuleRef;
  readonly label: ModuleLabel;
  readonly tree: Tree;
  /** fs-verity digest of the image of `tree`, computed here and now. */
  readonly image: Digest;
  /** What mode enforce would have refused. */
  readonly findings: readonly Finding[];
  /** Bytes that were fetched for it; 0 when all of it was there. */
  readonly pulledBytes: number;
}

/** A module whose signature was checked: what is known of it without its tree. */
export type HeldModule = Pick<StoredModule, 'ref' | 'label' | 'image' | 'findings'>;

export interface SystemImage {
  readonly digest: Digest;
  readonly tree: Tree;
}

export interface MountedImage {
  /** Whether the kernel checks each file against its digest when it is read. */
  readonly verity: boolean;
  /** VERITY_UNAVAILABLE where it can't. */
  readonly conditions: readonly Condition[];
  readonly unmount: () => void;
}

export interface Collected {
  readonly modules: number;
  readonly images: number;
  readonly objects: number;
  readonly bytes: number;
}

export interface Store {
  readonly dir: string;
  /** False where kernel or file system have no fs-verity; then objects are hashed instead. */
  readonly verity: boolean;
  /** VERITY_UNAVAILABLE, or none. */
  readonly conditions: readonly Condition[];
  /**
   * The module behind `ref`, fetched only where it is not here whole. In this order: signature and
   * label, then layers, then the digest of the resulting image against the label. Throws what
   * `verifyManifest` throws, DIGEST_MISMATCH when label or `ref` say another image or the source
   * serves other bytes, LAYER_TOO_LARGE, TAR_INVALID, PATH_ESCAPE, STORE_FULL, and what the source
   * throws. On an error there is no trace of it but unreferenced objects; on STORE_FULL, which leaves
   * a reserve of the disk to others, not even those.
   */
  ensureModule(ref: ModuleRef, options: EnsureOptions): Promise<StoredModule>;
  /**
   * The same without a source: null when it is not here, damaged, or its stored signatures do not
   * satisfy the policy any more.
   */
  loadModule(ref: ModuleRef, trust: Trust): Promise<StoredModule | null>;
  /**
   * The same, without the tree in this thread's memory. Image and objects are looked at unless
   * `running`: the kernel has them mounted, and checks each read.
   */
  holdsModule(
    ref: ModuleRef,
    trust: Trust,
    options: { readonly running: boolean },
  ): Promise<HeldModule | null>;
  /**
   * Merges system modules (rule merge/1), writes and seals the image. Throws MERGE_CONFLICT, and
   * KERNEL_MISMATCH unless the tree has the modules of `kernelRelease` (null: not asked).
   */
  composeSystem(
    modules: readonly StoredModule[],
    kernelRelease: string | null,
  ): Promise<SystemImage>;
  /**
   * Mounts an image (a module's own, or a composed one) read-only at `target`, an existing
   * directory. The image is measured first: DIGEST_MISMATCH, NOT_FOUND, or MOUNT_FAILED, and then nothing is mounted.
   */
  mountImage(digest: Digest, target: string): Promise<MountedImage>;
  /** Manifests of all modules that are here, verified or not. */
  modules(): Promise<readonly Digest[]>;
  /** Removes what no root refers to. Not while an `ensureModule` runs: it waits for those. */
  collect(roots: Roots): Promise<Collected>;
  /** Stops the threads. What was returned stays valid. */
  close(): Promise<void>;
}
