// Records of nodes and instances as older versions wrote them, made into those of today. Each step
// takes what was stored, unparsed, and returns what the next version would have written.

import { z } from 'zod';
import { NodeSpec } from '#shared/schema/records.ts';
import { derive, NO_SOURCES } from '../catalog/rules.ts';
import type { Migrations } from '../store/record.ts';

/** Version 1 knew no classes and no templates: a node was what its spec said, and persistent. */
export const NODE_MIGRATIONS: Migrations = {
  1: (old) => {
    const { instance, spec } = z.looseObject({ instance: z.unknown(), spec: NodeSpec }).parse(old);
    const derived = derive(spec, NO_SOURCES, null);
    return { ...(old as object), spec, derived, set: null, lives: instance === null ? 0 : 1 };
  },
  // Version 2 knew machines by MAC address and UUID only: a spec without the others says the same.
  2: (old) => old,
};

/** Version 1 knew no providers: each machine was switched on by a person. */
export const INSTANCE_MIGRATIONS: Migrations = {
  1: (old) => ({
    ...(old as object),
    lifecycleClass: 'persistent',
    pool: null,
    drained: false,
    replace: false,
    preemption: null,
    machine: null,
  }),
  // Version 2 installed nothing, whatever the plan said: that is ordered by a person from then on.
  2: (old) => ({ ...(old as object), install: null }),
};
