// What a bench is: it measures one thing, within a limit, and gives figures beside their targets.
// Types only.

import type { Clock } from '#shared/clock.ts';
import type { Artifacts } from '../lab/artifacts.ts';

export interface Target {
  /** `most`: the value may not be over it. */
  readonly at: 'most' | 'least';
  readonly value: number;
}

export interface Figure {
  /** A few words: what was measured. */
  readonly name: string;
  readonly value: number;
  /** `s`, `ms`, `MB/s`, `/s`, `×` … MB are 10^6 bytes. */
  readonly unit: string;
  /** Null where nobody asked for a certain value. */
  readonly target: Target | null;
  /** The same work done by something else in the same run, in the same unit. */
  readonly yardstick?: { readonly name: string; readonly value: number };
  /** How it was measured, or what the reader has to know. One line. */
  readonly note?: string;
}

export interface Bench {
  /** `group/what`: the group is the folder. Words of the command line choose by a part of it. */
  readonly name: string;
  /** Longer than this and it is ended, as a failure. Without what has to be built first. */
  readonly limitMs: number;
  /** What it needs is made before the limit starts: once for all benches, and kept for next time. */
  readonly needsArtifacts: boolean;
  /** Takes long: runs with --full only, or when its whole name is given. */
  readonly onlyInFull?: true;
  run(context: BenchContext): Promise<readonly Figure[]>;
}

export interface BenchContext {
  readonly clock: Clock;
  /** Aborts at Ctrl-C and at the limit. What was started ends with it. */
  readonly signal: AbortSignal;
  /** Empty, on a disk, removed afterwards. */
  readonly dir: string;
  readonly progress: (line: string) => void;
  /** Boot image, modules and keys of the lab. Errors unless `needsArtifacts`. */
  readonly artifacts: () => Artifacts;
}

export type BenchResult =
  | { readonly bench: string; readonly seconds: number; readonly figures: readonly Figure[] }
  | {
      readonly bench: string;
      readonly seconds: number;
      readonly error: string;
      readonly hint: string;
    };

export const isMet = ({ value, target }: Figure): boolean | null => {
  if (target === null) return null;
  return target.at === 'most' ? value <= target.value : value >= target.value;
};
