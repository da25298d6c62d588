// Whether the provider has said, on this machine, that it takes it away: asked every few seconds where
// providers do so, and reported at once. Drains nothing itself.

import type { Clock } from '#shared/clock.ts';

/** Unix milliseconds when the machine goes; null while nobody said so. Throws METADATA_FAILED. */
export type Notice = (signal: AbortSignal) => Promise<number | null>;

/** Of the cloud that this machine is in; null where nobody gives notice. */
export type Notices = () => Promise<Notice | null>;

export interface PreemptionWatch {
  notice(): number | null;
  run(signal: AbortSignal): Promise<never>;
}

/** EC2 asks for this in "Spot Instance interruption notices"; on GCE 30 s are all there is. */
const ASK_EVERY_MS = 5_000;
const NOBODY_MS = 24 * 3_600_000;

export function preemptionWatch(options: {
  readonly clock: Clock;
  readonly notices: Notices;
  readonly onNotice: () => void;
  /** Told once for a row of failures. */
  readonly onError: (error: unknown) => void;
}): PreemptionWatch {
  const { clock, notices, onNotice, onError } = options;
  let known: number | null = null;
  let fails = false;

  async function ask(notice: Notice, signal: AbortSignal): Promise<void> {
    try {
      const endsAt = await notice(signal);
      fails = false;
      if (endsAt === known) return;
      known = endsAt;
      if (endsAt !== null) onNotice();
    } catch (error) {
      signal.throwIfAborted();
      if (!fails) onError(error);
      fails = true;
    }
  }

  return {
    notice: () => known,
    async run(signal) {
      const notice = await notices();
      for (;;) {
        if (notice !== null) await ask(notice, signal);
        await clock.sleep(notice === null ? NOBODY_MS : ASK_EVERY_MS, signal);
      }
    },
  };
}
