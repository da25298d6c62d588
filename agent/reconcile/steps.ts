// Everything that the reconcile loop can do to a node. Data, so that a plan can be printed and
// compared.

import type { Digest } from '#shared/digest.ts';
import type { ModuleName, ModuleRef } from '#shared/schema/module.ts';
import type { Settings } from '#shared/schema/settings.ts';

export type ModuleSettings = NonNullable<Settings['modules']>[ModuleName];

export type Step =
  /** Pull, verify and seal. Changes nothing that runs. */
  | { readonly kind: 'pull-module'; readonly module: ModuleRef }
  /** Merge, verify and seal the system image that the next boot takes up. */
  | {
      readonly kind: 'stage-system';
      readonly generation: number;
      readonly modules: readonly ModuleRef[];
      readonly bootImage: Digest | null;
      readonly kernelRelease: string | null;
      /** As the coordinator computed it; another result is refused. */
      readonly expected: Digest | null;
    }
  /** The next boot takes up what runs now. */
  | { readonly kind: 'unstage-system' }
  | { readonly kind: 'write-settings'; readonly settings: Settings }
  /** Also of what a life that died has left of it. */
  | { readonly kind: 'detach-service'; readonly name: ModuleName }
  | {
      readonly kind: 'attach-service';
      readonly module: ModuleRef;
      readonly settings: ModuleSettings;
    }
  /** Same image: new units or settings, or services that have to be brought up again. */
  | {
      readonly kind: 'reattach-service';
      readonly module: ModuleRef;
      readonly settings: ModuleSettings;
    }
  /** Boot into what is staged, since what runs was rejected. */
  | { readonly kind: 'restart-machine'; readonly generation: number }
  /** Remove from the store what no generation worth keeping names. */
  | {
      readonly kind: 'collect-garbage';
      /** Manifests that stay, and images that stay. */
      readonly modules: readonly Digest[];
      readonly images: readonly Digest[];
    };

/**
 * The service that a crash in the middle of this step leaves in a state that nobody knows; null for
 * steps that change one file at once, or that each life of the agent does again.
 */
export function unsettles(step: Step): ModuleName | null {
  switch (step.kind) {
    case 'attach-service':
    case 'reattach-service':
      return step.module.name;
    case 'detach-service':
      return step.name;
    case 'pull-module':
    case 'stage-system':
    case 'unstage-system':
    case 'write-settings':
    case 'restart-machine':
    case 'collect-garbage':
      return null;
  }
}

/** One line for people. */
export function describe(step: Step): string {
  switch (step.kind) {
    case 'pull-module':
    case 'attach-service':
    case 'reattach-service':
      return `${step.kind} ${step.module.name} ${step.module.version}`;
    case 'stage-system':
    case 'restart-machine':
      return `${step.kind} generation ${step.generation}`;
    case 'detach-service':
      return `${step.kind} ${step.name}`;
    case 'unstage-system':
    case 'write-settings':
    case 'collect-garbage':
      return step.kind;
  }
}
