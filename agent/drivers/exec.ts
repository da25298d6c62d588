// Child processes: argv only, no shell, in a group of their own so that none outlives an abort.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { BilletError } from '#shared/errors.ts';

export interface Exit {
  /** The exit code, or 128 + the signal's number, as a shell counts. */
  readonly code: number;
  /** The last 1 MiB, where no other limit is asked for. */
  readonly stdout: string;
  /** The last 64 KiB. */
  readonly stderr: string;
}

export type Argv = readonly [string, ...string[]];

/**
 * Runs a program to its end, with `input` (or nothing) on stdin. A code other than 0 is a result, not
 * an error. Of stdout the last `stdoutMax` characters are kept: for what is of no use in part. Throws
 * UNSUPPORTED when the program is not there, the signal's reason on an abort.
 */
export type Exec = (
  argv: Argv,
  signal: AbortSignal,
  input?: string,
  stdoutMax?: number,
) => Promise<Exit>;

const STDOUT_LIMIT = 1024 * 1024;
const STDERR_LIMIT = 64 * 1024;

export const hostExec: Exec = async ([file, ...args], signal, input, stdoutMax = STDOUT_LIMIT) => {
  signal.throwIfAborted();
  const child = spawn(file, args, { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  const killGroup = () => killGroupOf(child);
  signal.addEventListener('abort', killGroup, { once: true });
  const stdout = tailOf(child.stdout, stdoutMax);
  const stderr = tailOf(child.stderr, STDERR_LIMIT);
  // A program that ends without reading its stdin is its own business.
  child.stdin.on('error', () => undefined).end(input ?? '');

  try {
    // 'exit', not 'close': a daemon that keeps our pipe open must not hold us.
    const [code, name] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    signal.throwIfAborted();
    await Promise.all([stdout.drained(), stderr.drained()]);
    const exit = code ?? 128 + (name ? constants.signals[name] : 0);
    return { code: exit, stdout: stdout.text(), stderr: stderr.text() };
  } catch (error) {
    throw notStarted(file, error);
  } finally {
    signal.removeEventListener('abort', killGroup);
    child.stdout.destroy();
    child.stderr.destroy();
  }
};

/** Runs a program that has to succeed. Throws COMMAND_FAILED with what it said. */
export async function execOrThrow(
  exec: Exec,
  argv: Argv,
  signal: AbortSignal,
  hint: string,
): Promise<string> {
  const { code, stdout, stderr } = await exec(argv, signal);
  if (code === 0) return stdout;
  const said = (stderr.trim() || stdout.trim()).slice(-2000);
  throw new BilletError('COMMAND_FAILED', `${argv.join(' ')} ended with ${code}: ${said}`, {
    hint,
    details: { code },
  });
}

/** The group may be gone already, with the exit event still on its way. */
function killGroupOf(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function notStarted(file: string, error: unknown): unknown {
  const missing = error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT';
  if (!missing) return error;
  return new BilletError('UNSUPPORTED', `there is no program ${file} on this machine`, {
    hint: `install the package that brings ${file}, or add it to the boot image`,
    cause: error,
  });
}

/** What is in the pipe at exit is read; a pipe that others keep open is not waited for. */
function tailOf(stream: Readable, limit: number) {
  let text = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-limit);
  });
  const ended = once(stream, 'close').then(() => undefined);
  const soon = () => new Promise<void>((resolve) => setTimeout(resolve, 50).unref());
  return { text: () => text, drained: () => Promise.race([ended, soon()]) };
}
