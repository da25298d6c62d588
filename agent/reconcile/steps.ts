// Everything that the reconcile loop can do to a node. Data, so that a plan can be printed
// and compared.

import { z } from 'zod';
import { Digest } from '#shared/digest.ts';
import { BootImage } from '#shared/schema/desired.ts';
import { NodeName } from '#shared/schema/ids.ts';
import { ModuleName, ModuleRef } from '#shared/schema/module.ts';
import { NixClosure, SystemPath } from '#shared/schema/nix-closure.ts';
import { Settings } from '#shared/schema/settings.ts';
import { Activation } from '../nix/switch-record.ts';

const ModuleSettings = z.record(z.string(), z.json());
export type ModuleSettings = z.infer<typeof ModuleSettings>;

/** Schemas, since `billet agent plan` gets them over a socket. */
export const Step = z.discriminatedUnion('kind', [
  /** Pull, verify and seal. Changes nothing that runs. */
  z.object({ kind: z.literal('pull-module'), module: ModuleRef }),
  /** Merge, verify and seal the system image that the next boot takes up. */
  z.object({
    kind: z.literal('stage-system'),
    generation: z.int().positive(),
    modules: z.array(ModuleRef),
    bootImage: Digest.nullable(),
    kernelRelease: z.string().nullable(),
    /** As the coordinator computed it; another result is refused. */
    expected: Digest.nullable(),
  }),
  /** The boot slots hold what this generation boots from; a good one is blessed, a damaged one mended. */
  z.object({
    kind: z.literal('keep-slots'),
    generation: z.int().positive(),
    image: BootImage.nullable(),
    good: z.boolean(),
  }),
  /** The next boot takes up what runs now. */
  z.object({ kind: z.literal('unstage-system') }),
  z.object({ kind: z.literal('write-settings'), settings: Settings }),
  /** Also of what a life that died has left of it. */
  z.object({ kind: z.literal('detach-service'), name: ModuleName }),
  z.object({
    kind: z.literal('attach-service'),
    module: ModuleRef,
    settings: ModuleSettings,
  }),
  /** Same image: new units or settings, or services that have to be brought up again. */
  z.object({
    kind: z.literal('reattach-service'),
    module: ModuleRef,
    settings: ModuleSettings,
  }),
  /** Do the modules go together, as their signed labels say? Before anything is staged or stopped. */
  z.object({
    kind: z.literal('check-modules'),
    node: NodeName,
    /** Names of all modules of the generation. */
    present: z.array(ModuleName),
    /** Those of them that are in the store. */
    modules: z.array(ModuleRef),
  }),
  /** Boot into what is staged, since what runs was rejected. */
  z.object({ kind: z.literal('restart-machine'), generation: z.int().positive() }),
  /** Get a NixOS system and check its signatures. Changes nothing that runs. */
  z.object({ kind: z.literal('pull-closure'), closure: NixClosure }),
  /** Make it the one that runs; what ran before, where it does not come up. */
  z.object({ kind: z.literal('activate-closure'), order: Activation }),
  /** Forget other systems, and what only they needed. */
  z.object({ kind: z.literal('collect-closures'), keep: z.array(SystemPath) }),
  /** Remove from the store what no generation worth keeping names. */
  z.object({
    kind: z.literal('collect-garbage'),
    /** Manifests that stay, and images that stay. */
    modules: z.array(Digest),
    images: z.array(Digest),
  }),
]);
export type Step = z.infer<typeof Step>;

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
    case 'check-modules':
    case 'keep-slots':
    case 'stage-system':
    case 'unstage-system':
    case 'write-settings':
    case 'restart-machine':
    case 'pull-closure':
    // It keeps a record of its own.
    case 'activate-closure':
    case 'collect-closures':
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
    case 'keep-slots':
    case 'stage-system':
    case 'restart-machine':
      return `${step.kind} generation ${step.generation}`;
    case 'pull-closure':
      return `${step.kind} ${step.closure.storePath}`;
    case 'activate-closure':
      return `${step.kind} ${step.order.storePath} (${step.order.activation})`;
    case 'detach-service':
      return `${step.kind} ${step.name}`;
    case 'check-modules':
    case 'unstage-system':
    case 'write-settings':
    case 'collect-closures':
    case 'collect-garbage':
      return step.kind;
  }
}
