// Runs one probe now. A probe that does not pass is a failed task with the finding as its message.

import type { Probe } from '#shared/schema/module.ts';
import type { TaskKind } from './kind.ts';
import { specOf } from './spec.ts';

export interface RunProbeDeps {
  /** Resolves with the finding; throws PROBE_FAILED. */
  readonly probe: (probe: Probe, signal: AbortSignal) => Promise<string>;
}

export function runProbeTask({ probe }: RunProbeDeps): TaskKind {
  return {
    kind: 'run-probe',
    async run(task, signal) {
      const finding = await probe(specOf(task, 'run-probe').probe, signal);
      return { outcome: 'succeeded', message: finding.slice(0, 1024) };
    },
  };
}
