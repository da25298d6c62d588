// Operator side: what a runbook is made from.

import type { Handlers } from '../router.ts';
import { observeRunbook } from './observe.ts';

export const runbookHandlers: Pick<Handlers, 'getRunbookFacts'> = {
  getRunbookFacts: async ({ params }, { records }) => ({
    body: await observeRunbook(records, params.name),
  }),
};
