// Programs that the smoke test asks: argv only, no shell, bounded in time and in what is kept of what
// they say. Knows no program.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';

export interface ToolRun {
  /** Null after a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** It was ended because it took too long. */
  readonly late: boolean;
}

/** Of each of its two outputs, from the start. */
const KEPT_CHARACTERS = 64 * 1024;

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
  const [stdout, stderr] = [kept(child.stdout), kept(child.stderr)];
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout: stdout(), stderr: stderr(), late: false };
  } catch (error) {
    if (child.pid !== undefined) await closed;
    signal.throwIfAborted();
    if (limit.aborted) return { code: null, stdout: '', stderr: '', late: true };
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function kept(stream: Readable): () => string {
  let text = '';
  stream.setEncoding('utf8').on('data', (more: string) => {
    text = (text + more).slice(0, KEPT_CHARACTERS);
  });
  return () => text;
}
