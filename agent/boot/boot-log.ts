// Markers of a boot: printed, and kept under /run/billet for the agent that comes after. Decides
// nothing.

import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { failureLine, type Marker, type MarkerValue, markerLine } from '#shared/markers.ts';
import type { BootMarker } from '../handover.ts';

export interface BootLog {
  /** `seconds` since the kernel started is added. */
  marker(stage: Marker, fields?: Record<string, MarkerValue>): void;
  failure(stage: Marker, error: unknown): void;
}

export interface BootLogDeps {
  readonly say: (line: string) => void;
  readonly uptimeSeconds: () => number;
  /** markers.jsonl */
  readonly path: string;
}

export function bootLog({ say, uptimeSeconds, path }: BootLogDeps): BootLog {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const keep = (marker: BootMarker) =>
    appendFileSync(path, `${JSON.stringify(marker)}\n`, { mode: 0o600 });
  return {
    marker(stage, fields = {}) {
      const seconds = uptimeSeconds();
      say(markerLine(stage, { ...fields, seconds }));
      // Progress is for those who watch.
      if (stage !== 'pull-progress') keep({ stage, seconds, failure: false, fields });
    },
    failure(stage, error) {
      const { code, message, hint } = billetError(error);
      say(failureLine(stage, { code, message, hint }));
      keep({ stage, seconds: uptimeSeconds(), failure: true, fields: { code, message } });
    },
  };
}

/** Anything else is a defect, and is shown with where it happened. */
function billetError(error: unknown): BilletError {
  if (error instanceof BilletError) return error;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new BilletError('INTERNAL', text.slice(0, 2000), {
    hint: 'this is a defect in Billet: please report it with the lines above',
    cause: error,
  });
}
