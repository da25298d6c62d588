// Operator side: what can still be taken.

import type { Handlers } from '../router.ts';
import { observeCapacity } from './observe.ts';
import { capacityOf } from './rules.ts';

export const capacityHandlers: Pick<Handlers, 'getCapacity'> = {
  getCapacity: async ({ signal }, deps) => ({
    body: capacityOf(await observeCapacity(deps, signal)),
  }),
};
