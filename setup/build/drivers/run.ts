// Runs the tools of a build: argv only; as root in a mount and process namespace of their own, so that
// an abort leaves nothing running and nothing mounted.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { BilletError } from '#shared/errors.ts';
import { SOURCE_DATE_EPOCH } from '../epoch.ts';

export type Argv = readonly [string, ...string[]];

export interface RunOptions {
  readonly signal: AbortSignal;
  readonly cwd?: string;
  /** Added to the environment of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Each line that the tool writes on stderr, as it comes. */
  readonly onLine?: (line: string) => void;
  /** What a person should look at when the tool fails. */
  readonly hint?: string;
}

const LINES_KEPT = 20;

/** What makes a build the same everywhere: language, time zone, and the one date of all builds. */
const FIXED_ENVIRONMENT = {
  LC_ALL: 'C.UTF-8',
  TZ: 'UTC',
  SOURCE_DATE_EPOCH: String(SOURCE_DATE_EPOCH),
};

/**
 * Runs a tool to its end and returns its stdout. Throws COMMAND_FAILED with the last lines of its
 * stderr, UNSUPPORTED when it is not installed, the signal's reason on an abort.
 */
export async function run(argv: Argv, options: RunOptions): Promise<string> {
  options.signal.throwIfAborted();
  const environment = { ...FIXED_ENVIRONMENT, ...options.environment };
  const assignments = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  // --kill-child and the private namespaces: killing unshare ends the tool and undoes its mounts.
  const unshare = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const prefix = process.getuid?.() === 0 ? unshare : [];
  const [file = '', ...rest] = [...prefix, 'env', ...assignments, ...argv];
  const child = spawn(file, rest, {
    ...(options.cwd ? { cwd: options.cwd } : {}),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => child.kill('SIGKILL');
  options.signal.addEventListener('abort', kill, { once: true });
  const stdout: Buffer[] = [];
  const lastLines: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  createInterface({ input: child.stderr }).on('line', (line) => {
    lastLines.push(line);
    if (lastLines.length > LINES_KEPT) lastLines.shift();
    options.onLine?.(line);
  });

  try {
    const [code, name] = (await once(child, 'close')) as [number | null, string | null];
    options.signal.throwIfAborted();
    if (code !== 0) throw failure(argv, code ?? name, lastLines, options.hint);
    return Buffer.concat(stdout).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new BilletError('UNSUPPORTED', 'unshare is not installed', {
      hint: 'apt-get install util-linux',
      cause: error,
    });
  } finally {
    options.signal.removeEventListener('abort', kill);
  }
}

function failure(
  argv: Argv,
  status: number | string | null,
  lines: readonly string[],
  hint?: string,
) {
  const said = lines.join('\n');
  if (status === 127)
    return new BilletError('UNSUPPORTED', `${argv[0]} is not installed`, {
      hint: hint ?? `apt-get install the package of ${argv[0]}; npm run demo does it`,
    });
  return new BilletError('COMMAND_FAILED', `${argv[0]} ended with ${status}: ${said}`, {
    hint: hint ?? 'read what the tool says above, mend it, and run the same command again',
    details: { argv },
  });
}
