// What the commands of the agent get from their process. Types only.

import type { Clock } from '#shared/clock.ts';
import type { Log } from './drivers/journal.ts';
import type { Notify } from './drivers/notify.ts';

export interface AgentIo {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly notify: Notify;
  /** As uname(2) says. */
  readonly architecture: string;
}
