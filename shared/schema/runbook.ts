// What a runbook of a template is made from: the template, everything that is made from it, and the
// deadlines that hold for it. Data; the text is made by who asks.

import { z } from 'zod';
import { Architecture } from './architecture.ts';
import { LifecycleClass, MachineClass } from './class.ts';
import { NodeName, Timestamp } from './ids.ts';
import { InstanceType } from './instance-type.ts';
import { Platform } from './platform.ts';
import { Pool } from './pool.ts';
import { ProviderKind } from './provider.ts';
import { Publication } from './publication.ts';
import { InstanceState } from './records.ts';
import { Region } from './region.ts';
import { Template } from './template.ts';

/** How long an instance may stay in a state, and what then happens. */
export const StateDeadline = z.object({
  provider: ProviderKind,
  lifecycleClass: LifecycleClass,
  state: InstanceState,
  afterSeconds: z.int().nonnegative(),
  action: z.enum(['signal', 'fail', 'terminate', 'finish']),
  reason: z.string(),
  /** ID stands for the instance. */
  hint: z.string(),
});
export type StateDeadline = z.infer<typeof StateDeadline>;

export const RunbookFacts = z.object({
  at: Timestamp,
  template: Template,
  /** Null where the template names none. */
  platform: Platform.nullable(),
  architecture: Architecture.nullable(),
  /** What its nodes boot: the template's own, or the platform's current one. */
  publication: Publication.nullable(),
  /** Whose nodes are made from the template unless they say otherwise, and what these name. */
  classes: z.array(MachineClass),
  pools: z.array(Pool),
  regions: z.array(Region),
  instanceTypes: z.array(InstanceType),
  nodes: z.object({
    total: z.int().nonnegative(),
    /** The first 20. */
    names: z.array(NodeName),
    withoutInstance: z.int().nonnegative(),
  }),
  deadlines: z.array(StateDeadline),
});
export type RunbookFacts = z.infer<typeof RunbookFacts>;
