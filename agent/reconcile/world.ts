// What the planner compares: the generation that is wanted, and the node as it was observed. Types
// only.

import type { Digest } from '#shared/digest.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { ModuleName, ModuleRef } from '#shared/schema/module.ts';

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
}

export interface Observed {
  /** Manifests of the modules that are whole in the store. */
  readonly held: readonly Digest[];
  readonly services: readonly AttachedService[];
  /** Null where the root is not Billet's: system modules are then out of reach. */
  readonly booted: SystemSet | null;
  readonly staged: (SystemSet & { readonly generation: number }) | null;
  /** `settingsKey` of the node's settings as written last; null before the first time. */
  readonly settings: string | null;
}

export interface Wanted {
  readonly desired: Desired;
  /** Manifests of other generations that are kept: last good, and what is still to be judged. */
  readonly keep: readonly Digest[];
  /** Whether the wanted generation is good, so that what it replaced may go. */
  readonly settled: boolean;
}

/** Where the coordinator sent a system image or modules that this node cannot take up. */
export const isManaged = ({ booted }: Observed): boolean => booted !== null;

export type ServiceName = ModuleName;
