// Sends heartbeats: at the interval that the coordinator asks for, and at once when something
// changed. Passes replies on; a heartbeat that fails is not sent again, the next one says more.

import type { Clock } from '#shared/clock.ts';
import type { Heartbeat, HeartbeatReply } from '#shared/schema/heartbeat.ts';
import { retryAfterMs } from '../link/backoff.ts';
import { wakeable } from '../wakeable.ts';

export interface PulseDeps {
  readonly clock: Clock;
  /** 0 to 1, as Math.random. */
  readonly random: () => number;
  readonly build: () => Promise<Heartbeat>;
  readonly send: (heartbeat: Heartbeat, signal: AbortSignal) => Promise<HeartbeatReply>;
  readonly onReply: (reply: HeartbeatReply) => void;
  readonly onError: (error: unknown) => void;
}

export interface Pulse {
  /** Something changed: send one now (but not more than one a second). */
  wake(): void;
  /** Runs until `signal` aborts, and then rejects with its reason. */
  run(signal: AbortSignal): Promise<never>;
}

const INTERVAL_MS = 30_000;
const SPACING_MS = 1_000;
/** A tenth up or down, so that a fleet that booted together does not beat together. */
const JITTER = 0.1;

export function pulse(deps: PulseDeps): Pulse {
  const { clock, random } = deps;
  const wait = wakeable(clock);
  return {
    wake: wait.wake,
    async run(signal) {
      let intervalMs = INTERVAL_MS;
      for (;;) {
        try {
          const reply = await deps.send(await deps.build(), signal);
          intervalMs = reply.intervalSeconds * 1000;
          deps.onReply(reply);
        } catch (error) {
          signal.throwIfAborted();
          deps.onError(error);
          // Asked to keep away: also what is news waits.
          await clock.sleep(retryAfterMs(error), signal);
        }
        await clock.sleep(Math.min(SPACING_MS, intervalMs), signal);
        const jittered = intervalMs * (1 + JITTER * (2 * random() - 1));
        await wait.sleep(Math.max(0, jittered - SPACING_MS), signal);
      }
    },
  };
}
