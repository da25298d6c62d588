// Programs that the smoke test asks: argv only, no shell, bounded in time. Knows no program.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

export interface ToolRun {
  /** Null after a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** It was ended because it took too long. */
  readonly late: boolean;
}

export interface ToolOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** A code other than 0 is a result. Null when there is no such program; the signal's reason on abort. */
export async function runTool(
  [file, ...args]: readonly [string, ...string[]],
  { signal, timeoutMs }: ToolOptions,
): Promise<ToolRun | null> {
  signal.throwIfAborted();
  const limit = AbortSignal.timeout(timeoutMs);
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.any([signal, limit]),
    killSignal: 'SIGKILL',
  });
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout: await stdout, stderr: await stderr, late: false };
  } catch (error) {
    await Promise.allSettled([stdout, stderr]);
    signal.throwIfAborted();
    if (limit.aborted) return { code: null, stdout: '', stderr: '', late: true };
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
