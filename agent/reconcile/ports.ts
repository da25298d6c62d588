// What the reconcile loop needs of the world, as small interfaces: the store, systemd, the mount
// table and the files of the settings. Tests put fakes in their place.

import type { Digest } from '#shared/digest.ts';
import type { ModuleLabel, ModuleRef } from '#shared/schema/module.ts';
import type { Settings } from '#shared/schema/settings.ts';
import type { Power } from '../drivers/power.ts';
import type { Units } from '../drivers/units.ts';
import type { NixSystem } from '../nix/system.ts';
import type { SlotKeeper } from '../slots/keeper.ts';

export interface SystemRequest {
  readonly modules: readonly ModuleRef[];
  readonly kernelRelease: string | null;
}

/** Modules in the store. Each is verified against trust policy and floor before it is used. */
export interface Modules {
  /** Which of these are here whole and verified. Fetches nothing. */
  held(wanted: readonly ModuleRef[], signal: AbortSignal): Promise<readonly Digest[]>;
  /** Every manifest in the store, verified or not: what garbage collection looks at. */
  stored(): Promise<readonly Digest[]>;
  /** Throws what a pull throws: a code of the error table, with the store as it was. */
  pull(module: ModuleRef, signal: AbortSignal): Promise<void>;
  /** The last pull ended with STORE_FULL, and nothing was collected since. */
  isFull(): boolean;
  /** Of a module that is held. Throws what verification throws. */
  label(module: ModuleRef, signal: AbortSignal): Promise<ModuleLabel>;
  /** Mounts a held module's own image, read-only, on an existing directory. */
  mount(module: ModuleRef, target: string, signal: AbortSignal): Promise<void>;
  /** Merges, seals and keeps; the digest of the system image. */
  compose(request: SystemRequest, signal: AbortSignal): Promise<Digest>;
  collect(keep: {
    readonly modules: readonly Digest[];
    readonly images: readonly Digest[];
  }): Promise<void>;
}

export interface MountTable {
  isMounted(target: string): Promise<boolean>;
  /** Not mounted is fine. */
  unmount(target: string): Promise<void>;
}

export interface NodeSettings {
  /** Hostname, time zone, DNS and keys on the running node. */
  apply(settings: Settings, signal: AbortSignal): Promise<void>;
}

export interface ReconcilePorts {
  readonly power: Power;
  readonly modules: Modules;
  readonly nix: NixSystem;
  /** Null where the machine was not started from boot slots. */
  readonly slots: SlotKeeper | null;
  readonly units: Units;
  readonly mounts: MountTable;
  readonly settings: NodeSettings;
}
