// The coordinator's own registry, as the CLI reads and writes it: same address, same CA, same
// credential as the API.

import { openRegistry, type Registry } from '#shared/artifact/oci/registry.ts';
import type { Coordinator } from './client.ts';
import type { CommandIo } from './command-io.ts';
import { sayAside } from './progress.ts';

/** Of the first failures nobody needs to know: they cost less than a second. */
const QUIET_FAILURES = 2;

/** Opens no connection yet. Throws ARGUMENT_INVALID for a name that is no repository. */
export const openRepository = (
  io: CommandIo,
  coordinator: Coordinator,
  repository: string,
): Registry =>
  openRegistry({
    origin: new URL(coordinator.context.url).origin,
    repository,
    dispatcher: coordinator.dispatcher,
    credentials: { kind: 'bearer', token: coordinator.context.credential },
    clock: io.clock,
    random: Math.random,
    signal: io.signal,
    onRetry({ message, failure, attempts }) {
      if (failure > QUIET_FAILURES) sayAside(io, `${message}; try ${failure + 1} of ${attempts}`);
    },
  });
