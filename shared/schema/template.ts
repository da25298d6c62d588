// A template: what nodes are made of. Modules are pinned by digest here; documents may name versions.

import { z } from 'zod';
import { ResourceName } from './ids.ts';
import { ModuleRef } from './module.ts';
import { Description, resourceOf } from './resource.ts';
import { Settings } from './settings.ts';

/** In this order; a name stands once. */
const ModuleRefs = z
  .array(ModuleRef.strict())
  .max(64)
  .refine((refs) => new Set(refs.map(({ name }) => name)).size === refs.length, {
    error: 'a module stands twice',
  })
  .default([]);

export const TemplateSpec = z.strictObject({
  description: Description,
  /** Null: its nodes name a boot image of their own. */
  platform: ResourceName.nullable().default(null),
  /** Instead of the platform's newest publication. */
  publication: ResourceName.nullable().default(null),
  modules: ModuleRefs,
  /** Of every node; a hostname belongs to one. */
  settings: Settings.omit({ hostname: true }).default({}),
});
export type TemplateSpec = z.infer<typeof TemplateSpec>;

export const Template = resourceOf(TemplateSpec);
export type Template = z.infer<typeof Template>;
