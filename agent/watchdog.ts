// Tells systemd again and again that the event loop is alive: where it stops, systemd starts the agent anew.

import type { Clock } from '#shared/clock.ts';
import type { Notify } from './drivers/notify.ts';

const WATCHDOG_MS = 10_000;

/** Runs until `signal` aborts, and then rejects with its reason. */
export async function watchdog(clock: Clock, notify: Notify, signal: AbortSignal): Promise<never> {
  for (;;) {
    notify.watchdog();
    await clock.sleep(WATCHDOG_MS, signal);
  }
}
