// Holds the newest desired state: the one on disk at the start, then whatever the coordinator says,
// asked when it was nudged or a heartbeat named another ETag.

import type { RouteClient } from '#shared/client/route-client.ts';
import type { Clock } from '#shared/clock.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { wakeable } from '../wakeable.ts';
import { backoffMs, retryAfterMs } from './backoff.ts';
import { assertNotOlder, type DesiredDocument, type DesiredFile, fetchDesired } from './desired.ts';

export interface DesiredLoopDeps {
  readonly clock: Clock;
  /** 0 to 1, as Math.random. */
  readonly random: () => number;
  readonly client: () => RouteClient;
  readonly instance: InstanceId;
  readonly file: DesiredFile;
  readonly onChange: (document: DesiredDocument) => void;
  /** What an attempt came to; null when it worked. */
  readonly onState: (error: unknown) => void;
}

export interface DesiredLoop {
  readonly document: DesiredDocument | null;
  /** Asks now. */
  wake(): void;
  /** What a heartbeat's reply says: asks when it is another one than here. */
  compare(etag: string): void;
  /** Runs until `signal` aborts, and then rejects with its reason. */
  run(signal: AbortSignal): Promise<never>;
}

/** Nudges and heartbeats do the work; this catches what they missed. */
const INTERVAL_MS = 600_000;
const RETRY = { baseMs: 1_000, capMs: 60_000 };

export async function desiredLoop(deps: DesiredLoopDeps): Promise<DesiredLoop> {
  const wait = wakeable(deps.clock);
  let document = await deps.file.load();
  let saved = document;

  async function ask(signal: AbortSignal): Promise<void> {
    const next = await fetchDesired(deps.client(), document?.etag ?? null, signal);
    if (next !== null) {
      assertNotOlder(next, document, deps.instance);
      document = next;
      deps.onChange(next);
    }
    // Acted upon even where it cannot be kept: it may be what makes room on the disk.
    if (document !== null && document !== saved) await deps.file.save(document);
    saved = document;
  }

  return {
    get document() {
      return document;
    },
    wake: wait.wake,
    compare(etag) {
      if (etag !== document?.etag) wait.wake();
    },
    async run(signal) {
      for (let attempt = 0; ; )
        try {
          await ask(signal);
          deps.onState(null);
          attempt = 0;
          await wait.sleep(INTERVAL_MS, signal);
        } catch (error) {
          signal.throwIfAborted();
          deps.onState(error);
          const waitMs = Math.max(backoffMs(attempt++, deps.random(), RETRY), retryAfterMs(error));
          await deps.clock.sleep(waitMs, signal);
        }
    },
  };
}
