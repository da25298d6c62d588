// The handler of each row of the route table. A row without one does not compile.

import { backupHandlers } from '../backup/handlers.ts';
import { capacityHandlers } from '../capacity/handlers.ts';
import type { Handlers } from '../router.ts';
import { runbookHandlers } from '../runbook/handlers.ts';
import { whyHandlers } from '../why/handlers.ts';
import { accessHandlers } from './access-handlers.ts';
import { caHandlers } from './ca-handlers.ts';
import { catalogHandlers } from './catalog-handlers.ts';
import { claimHandlers } from './claim-handlers.ts';
import { drainHandlers } from './drain-handlers.ts';
import { installHandlers } from './install-handlers.ts';
import { nodeAdminHandlers } from './node-admin-handlers.ts';
import { nodeHandlers } from './node-handlers.ts';
import { providerHandlers } from './provider-handlers.ts';
import { signalHandlers } from './signal-handlers.ts';
import { stateHandlers, taskHandlers } from './task-handlers.ts';

export const handlers: Handlers = {
  ...nodeHandlers,
  ...nodeAdminHandlers,
  ...accessHandlers,
  ...catalogHandlers,
  ...claimHandlers,
  ...installHandlers,
  ...drainHandlers,
  ...providerHandlers,
  ...caHandlers,
  ...signalHandlers,
  ...taskHandlers,
  ...stateHandlers,
  ...backupHandlers,
  ...whyHandlers,
  ...capacityHandlers,
  ...runbookHandlers,
};
