// Runs one bench in a directory of its own, within its limit. An error of a bench is a result.

import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import type { Artifacts } from '../lab/artifacts.ts';
import type { Bench, BenchContext, BenchResult } from './bench.ts';

export interface RunOptions extends Pick<BenchContext, 'clock' | 'signal' | 'progress'> {
  /** On a disk: figures of a memory file system are others. */
  readonly workDir: string;
  /** Made at the first call; the same at every other. */
  readonly prepare: () => Promise<Artifacts>;
}

/** Rejects only when the signal aborts. The directory is gone afterwards. */
export async function runBench(bench: Bench, options: RunOptions): Promise<BenchResult> {
  const { clock, signal, progress, workDir, prepare } = options;
  const dir = await mkdtemp(join(workDir, 'billet-bench-'));
  let start = clock.monotonic();
  const limit = new AbortController();
  let timer: NodeJS.Timeout | null = null;
  try {
    const made = bench.needsArtifacts ? await prepare() : null;
    const artifacts = (): Artifacts => {
      if (made !== null) return made;
      throw new BilletError('INTERNAL', `${bench.name} did not ask for artifacts`, {
        hint: 'set needsArtifacts in its row',
      });
    };
    timer = setTimeout(() => limit.abort(tooLong(bench)), bench.limitMs);
    start = clock.monotonic();
    const both = AbortSignal.any([signal, limit.signal]);
    const figures = await bench.run({ clock, signal: both, dir, progress, artifacts });
    both.throwIfAborted();
    return { bench: bench.name, seconds: (clock.monotonic() - start) / 1000, figures };
  } catch (error) {
    signal.throwIfAborted();
    const seconds = (clock.monotonic() - start) / 1000;
    const said = limit.signal.aborted ? limit.signal.reason : error;
    return { bench: bench.name, seconds, ...textOf(said) };
  } finally {
    if (timer !== null) clearTimeout(timer);
    await rm(dir, { recursive: true, force: true });
  }
}

function textOf(error: unknown): { error: string; hint: string } {
  if (error instanceof BilletError)
    return { error: `${error.code}: ${error.message}`, hint: error.hint };
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { error: text, hint: 'this is a defect of the bench: please report it' };
}

const tooLong = ({ name, limitMs }: Bench): BilletError =>
  new BilletError('TIMEOUT', `${name} took more than ${limitMs / 1000} s`, {
    hint: 'is the machine busy with something else? run it again on its own',
  });
