// Everything that the reconcile loop can do to a node. Data, so that a plan can be printed,
// journaled and compared.

import { z } from 'zod';
import { Digest } from '#shared/digest.ts';
import { ModuleName, ModuleRef } from '#shared/schema/module.ts';
import { Settings } from '#shared/schema/settings.ts';

const ModuleSettings = z.record(z.string(), z.json());
export type ModuleSettings = z.infer<typeof ModuleSettings>;

/** Schemas, since steps come back from the journal. */
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
  /** The next boot takes up what runs now. */
  z.object({ kind: z.literal('unstage-system') }),
  z.object({ kind: z.literal('write-settings'), settings: Settings }),
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
  /** Boot into what is staged, since what runs was rejected. */
  z.object({ kind: z.literal('restart-machine'), generation: z.int().positive() }),
  /** Remove modules that no generation worth keeping names. */
  z.object({
    kind: z.literal('collect-garbage'),
    /** Manifests that stay, and images that stay. */
    modules: z.array(Digest),
    images: z.array(Digest),
  }),
]);
export type Step = z.infer<typeof Step>;

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
