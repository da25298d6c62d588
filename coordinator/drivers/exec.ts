// Programs that the coordinator runs to their end: argv only, no shell, killed when the call is given
// up. Knows no program.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { BilletError } from '#shared/errors.ts';

export interface Exit {
  /** Null after a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A code other than 0 is a result, not an error. UNSUPPORTED when there is no such program; the
 * reason of `signal` on an abort.
 */
export type Run = (argv: readonly [string, ...string[]], signal: AbortSignal) => Promise<Exit>;

export const runProgram: Run = async ([file, ...args], signal) => {
  signal.throwIfAborted();
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  const child = spawn(file, args, { signal, killSignal: 'SIGKILL', stdio: [...stdio] });
  const ended = once(child, 'close');
  ended.catch(() => undefined);
  try {
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      ended,
    ]);
    return { code, stdout, stderr };
  } catch (cause) {
    signal.throwIfAborted();
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new BilletError('UNSUPPORTED', `there is no program ${file} on this machine`, {
      hint: `apt-get install the package that brings ${file}`,
      cause,
    });
  }
};
