// A class: how machines of one sort are had and installed, and what their nodes are by default.

import { z } from 'zod';
import { ResourceName } from './ids.ts';
import { InstallPlan } from './install-plan.ts';
import { Description, resourceOf } from './resource.ts';
import { ClassSignals } from './signal.ts';

/**
 * What a lost instance means. persistent: nothing destroys it without a person; ephemeral: replaced
 * once its machine is proven off; spot: its provider may take it away, and it is replaced.
 */
export const LifecycleClass = z.enum(['persistent', 'ephemeral', 'spot']);
export type LifecycleClass = z.infer<typeof LifecycleClass>;

/** What a node is made from, and where. Null: as its pool says, or else its class. */
export const PLACEMENT = {
  template: ResourceName.nullable().default(null),
  region: ResourceName.nullable().default(null),
  instanceType: ResourceName.nullable().default(null),
} as const;

export const ClassSpec = z.strictObject({
  description: Description,
  /** Of its nodes, unless they say otherwise. */
  lifecycleClass: LifecycleClass.default('persistent'),
  /** Null: nothing is installed; machines boot over the network, or as their provider starts them. */
  install: InstallPlan.nullable().default(null),
  ...PLACEMENT,
  /** What follows from signals of its nodes. */
  signals: ClassSignals,
});
export type ClassSpec = z.infer<typeof ClassSpec>;

/** As documents call it, a Class. */
export const MachineClass = resourceOf(ClassSpec);
export type MachineClass = z.infer<typeof MachineClass>;
