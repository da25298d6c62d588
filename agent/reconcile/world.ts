// What the planner compares: the generation that is wanted, and the node as it was observed. Types
// only.

import type { Digest } from '#shared/digest.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { ModuleName, ModuleRef } from '#shared/schema/module.ts';
import type { ObservedNix } from '../nix/plan.ts';
import type { ObservedSlots } from '../slots/keeper.ts';

/** The kernel and the system modules behind a root. Equal ones boot into the same system. */
export interface SystemSet {
  readonly bootImage: Digest | null;
  /** Manifests of the system modules, sorted. */
  readonly manifests: readonly Digest[];
}

export interface AttachedService {
  readonly module: ModuleRef;
  /** `settingsKey` of what its services were started with. */
  readonly settings: string;
  /** Its root is mounted, and no unit of it is failed or inactive. */
  readonly healthy: boolean;
  /** Modules that it cannot do without, and where it keeps data: of its signed label. */
  readonly requires: readonly ModuleName[];
  readonly persistent: readonly string[];
}

/** What a drain keeps from running: new: nothing is attached or changed; all: nothing stays. */
export type Held = 'nothing' | 'new' | 'all';

export interface Observed {
  /** Manifests of wanted modules that are in the store whole and verified. */
  readonly held: readonly Digest[];
  /** Every manifest in the store. */
  readonly stored: readonly Digest[];
  /** The last pull found no room. */
  readonly full: boolean;
  readonly services: readonly AttachedService[];
  /** In the middle of being attached or detached when something died or failed. */
  readonly unfinished: readonly ModuleName[];
  /** Null where the root is not Billet's: system modules are then out of reach. */
  readonly booted: (SystemSet & { readonly systemImage: Digest }) | null;
  readonly staged:
    | (SystemSet & { readonly systemImage: Digest; readonly generation: number })
    | null;
  /** Null where the system is no NixOS. */
  readonly nix: ObservedNix | null;
  /** Null where the machine was not started from boot slots. */
  readonly slots: ObservedSlots | null;
  /** `settingsKey` of the node's settings as this life of the agent wrote them last; null before. */
  readonly settings: string | null;
}

export interface Wanted {
  readonly desired: Desired;
  /** Modules of other generations that are kept: the last good one's. */
  readonly keep: readonly ModuleRef[];
  /** Whether the wanted generation is good, so that what it replaced may go. */
  readonly settled: boolean;
  /** The store may hold what nothing refers to: a pull that was cut off leaves no other trace. */
  readonly sweep: boolean;
  /** The system that runs was rejected: it is left once the one to go back to is staged. */
  readonly leave: boolean;
  /** It failed here, and there is no other generation to go back to. */
  readonly rejected: boolean;
  readonly held: Held;
}
