// What a drain sees of a node: the cluster that it is part of, the container engine, services and what
// is left of their processes. Types only.

import type { Stopping } from '../reconcile/stop-order.ts';

/** A pod on the node. */
export interface SeenPod {
  /** `namespace/name` */
  readonly name: string;
  /** Part of the node, like a daemon set's or a static one, or over: it has nowhere to go. */
  readonly belongs: boolean;
  /** Why it would not move, as far as the pod itself says it. */
  readonly reason: string;
}

export type SeenCluster =
  | {
      readonly kind: 'member';
      readonly node: string;
      /** Unschedulable, in Kubernetes' words. */
      readonly cordoned: boolean;
      readonly pods: readonly SeenPod[];
    }
  /** It is part of one, or may be, and nothing can be asked of it. */
  | { readonly kind: 'fault'; readonly reason: string };

export interface SeenContainer {
  readonly id: string;
  readonly name: string;
  /** The engine starts it again whenever it ends, unless it is told to stop it. */
  readonly restarts: boolean;
}

export interface SeenEngine {
  /** up: it answers; idle: nothing of it runs but what would start it; silent: it should answer. */
  readonly kind: 'up' | 'idle' | 'silent';
  /** Those that run. */
  readonly containers: readonly SeenContainer[];
  /** Units of it that are active, in the order in which they stop. */
  readonly units: readonly string[];
  /** Why it is silent. */
  readonly reason: string;
}

export interface Seen {
  /** Null where the node is part of none. */
  readonly cluster: SeenCluster | null;
  /** Null where there is none. */
  readonly engine: SeenEngine | null;
  /** Attached service modules. */
  readonly services: readonly Stopping[];
  /** Whether the reconcile loop attaches nothing any more, and whether it detaches what is attached. */
  readonly holds: { readonly attaching: boolean; readonly services: boolean };
  /** Units and containers whose control groups have processes. */
  readonly processes: readonly { readonly group: string; readonly names: readonly string[] }[];
}
