// All that the ranking looks at: one instance, what it was and should be, and what happened around it.
// Types only.

import type { Digest } from '#shared/digest.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import type { Heartbeat } from '#shared/schema/heartbeat.ts';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import type { ProviderFault } from '#shared/schema/provider.ts';
import type { Event, InstanceState } from '#shared/schema/records.ts';
import type { Settings } from '#shared/schema/settings.ts';
import type { Signal } from '#shared/schema/signal.ts';

/** Times are Unix milliseconds of the coordinator, except in what is as it came over the wire. */
export interface Story {
  readonly now: number;
  /** Changes longer before the failure than this are not looked at. */
  readonly lookbackMs: number;
  readonly instance: StoryInstance;
  /** The one that last said something new. */
  readonly heartbeat: { readonly heartbeat: Heartbeat; readonly at: number } | null;
  /** Those that are kept, ascending. */
  readonly generations: readonly StoryGeneration[];
  /** Of this instance, its node, its tasks and the coordinator; ascending. */
  readonly events: readonly Event[];
  readonly signals: readonly StorySignal[];
  /** How manifests of its generations do on other instances. */
  readonly elsewhere: ReadonlyMap<Digest, { readonly well: number; readonly failed: number }>;
}

export interface StoryInstance {
  readonly id: InstanceId;
  readonly node: NodeName | null;
  readonly state: InstanceState;
  readonly reason: string;
  readonly stateSince: number;
  readonly generation: number;
  readonly rejected: readonly { readonly generation: number; readonly reason: string }[];
  readonly fault: ProviderFault | null;
  readonly connected: boolean;
  readonly lastSeenAt: number | null;
}

export interface StoryGeneration {
  readonly generation: number;
  readonly modules: readonly ModuleRef[];
  readonly settings: Settings;
  readonly bootImage: BootImage | null;
}

export type StorySignal = Pick<
  Signal,
  'id' | 'kind' | 'state' | 'openedAt' | 'text' | 'cause' | 'hint'
>;
