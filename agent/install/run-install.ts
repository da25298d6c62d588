// An installation from its order to its end: observe, plan, apply, each shown and reported. Restarts
// nothing; the caller does.

import type { InstallOutcome, InstallPorts, InstallRequest } from './ports.ts';

/** Resolves with what came of it, a refusal included. Rejects only when `signal` aborts. */
export type RunInstall = (
  ports: InstallPorts,
  request: InstallRequest,
  signal: AbortSignal,
) => Promise<InstallOutcome>;
