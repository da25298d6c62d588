// ipmitool(1) over RMCP+ (IPMI v2.0, `lanplus`): single commands, and serial over LAN as a console. The
// password never stands on a command line: ipmitool reads it from its file.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { BilletError } from '#shared/errors.ts';
import type { Bmc } from '../bmc.ts';
import { type ConsoleSource, chunks } from '../chunks.ts';
import { runTool } from './run-tool.ts';

export interface Ipmitool {
  /** Standard output of a command. Throws BMC_DENIED, BMC_FAILED, LINK_DOWN, TIMEOUT or UNSUPPORTED. */
  run(words: readonly string[], signal: AbortSignal): Promise<string>;
  /** Opens the console at once, so that nothing is lost before it is read. */
  openSol(signal: AbortSignal): Promise<Sol>;
}

export interface Sol {
  readonly console: ConsoleSource;
  /** Ends it on this side and in the BMC. */
  close(signal: AbortSignal): Promise<void>;
}

export interface IpmitoolOptions {
  readonly bmc: Bmc;
  /** The program; another one in tests. */
  readonly program?: string;
}

const COMMAND_MS = 60_000;
const SOL_START_MS = 45_000;
const KEPT_BYTES = 4 * 1024 * 1024;
const RMCP_PORT = '623';

export function ipmitool({ bmc, program = 'ipmitool' }: IpmitoolOptions): Ipmitool {
  const cipher = bmc.url.searchParams.get('cipher');
  const target = [
    ...['-I', 'lanplus', '-H', bmc.host, '-p', bmc.url.port || RMCP_PORT],
    ...['-U', bmc.user, '-f', bmc.passwordFile, ...(cipher === null ? [] : ['-C', cipher])],
  ];
  const run = async (words: readonly string[], signal: AbortSignal): Promise<string> => {
    const ran = await runTool([program, ...target, ...words], { signal, timeoutMs: COMMAND_MS });
    if (ran === null) throw notInstalled();
    if (ran.code === 0) return ran.stdout;
    throw failure(bmc, words.join(' '), ran.late, `${ran.stderr}${ran.stdout}`);
  };
  return {
    run,
    async openSol(signal) {
      // Whoever held it before: a BMC has one, and keeps it when its holder is gone.
      await run(['sol', 'deactivate'], signal).catch((error: unknown) => {
        if (!(error instanceof BilletError) || error.code !== 'BMC_FAILED') throw error;
      });
      // stdbuf(1): else its first words wait in a buffer for the console's.
      const child = spawn('stdbuf', ['-oL', program, ...target, 'sol', 'activate'], {
        // ipmitool ends at the end of its input: it is held open, and never written to.
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-4096);
      });
      // What comes before somebody reads is kept for him.
      const output = child.stdout.pipe(new PassThrough({ highWaterMark: KEPT_BYTES }));
      try {
        await untilOperational(child, signal);
      } catch (error) {
        await end(child);
        signal.throwIfAborted();
        if (error instanceof BilletError) throw error;
        throw failure(bmc, 'sol activate', false, said);
      }
      return {
        console: {
          name: `serial over LAN of ${bmc.host}`,
          read: (until) => chunks(output, until),
        },
        async close(until) {
          await end(child);
          await run(['sol', 'deactivate'], until);
        },
      };
    },
  };
}

/** ipmitool says `[SOL Session operational. …]` before the first byte of the console. */
async function untilOperational(child: ChildProcess, signal: AbortSignal): Promise<void> {
  const { stdout } = child;
  if (stdout === null) throw new TypeError('no output of ipmitool');
  const started = Promise.withResolvers<void>();
  let said = '';
  const look = (block: Buffer) => {
    said = (said + block.toString('latin1')).slice(-1024);
    if (said.includes('operational')) started.resolve();
  };
  stdout.on('data', look);
  const ended = once(child, 'close').then(() => Promise.reject(new Error('ipmitool ended')));
  ended.catch(() => undefined);
  const late = AbortSignal.any([signal, AbortSignal.timeout(SOL_START_MS)]);
  const stopped = once(late, 'abort').then(() => Promise.reject(new Error('too late')));
  stopped.catch(() => undefined);
  try {
    await Promise.race([started.promise, ended, stopped]);
  } finally {
    stdout.off('data', look);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'exit');
  child.kill('SIGKILL');
  await closed;
}

function failure({ host }: Bmc, asked: string, late: boolean, said: string): BilletError {
  const lines = said.split('\n').filter((line) => line.trim() !== '' && !NOISE.test(line));
  const text = lines.join('; ').slice(0, 512);
  const where = `ipmitool ${asked} at ${host}`;
  if (/RAKP 2|password|privilege|unauthorized/i.test(text))
    return new BilletError('BMC_DENIED', `${where}: ${text}`, {
      hint: 'check user and password, and that the user may do this over LAN (ADMINISTRATOR)',
    });
  if (late || /Unable to establish|Get Auth Capabilities|no response|timeout/i.test(text))
    return new BilletError(late ? 'TIMEOUT' : 'LINK_DOWN', `${where}: ${text || 'no answer'}`, {
      hint: 'check user and password, that the BMC is reached from here (UDP 623), and that IPMI over LAN is on; ipmitool tells them not apart. Another cipher suite: ipmi://HOST?cipher=17, or 3',
    });
  return new BilletError('BMC_FAILED', `${where}: ${text || 'it failed'}`, {
    hint: 'look at the log of the BMC; a restart of the BMC (not of the machine) often helps',
  });
}

/** What ipmitool says of a BMC that does not list its ciphers, and of an input that is no terminal. */
const NOISE = /Unable to Get Channel Cipher Suites|tcgetattr|tcsetattr/;

const notInstalled = () =>
  new BilletError('UNSUPPORTED', 'ipmitool is not installed', { hint: 'apt-get install ipmitool' });
