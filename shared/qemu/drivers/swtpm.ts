// A TPM 2.0 in software for one machine (swtpm(8)): its state lies in a directory, so that the same
// machine has the same TPM after a power cut. Gone when its owner is.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { BilletError } from '#shared/errors.ts';

export interface Tpm extends AsyncDisposable {
  /** For QemuSpec.tpmSocket; serves one start of a machine. */
  readonly socket: string;
}

const START_MS = 10_000;
/** It makes keys: seconds, and more where the machine is busy. */
const SETUP_MS = 120_000;
const POLL_MS = 20;

/**
 * Made at its first start, with one PCR bank, SHA-256, as servers are shipped. swtpm's own default of four
 * has the firmware hash each boot image four times.
 * Throws COMMAND_FAILED with what swtpm said, or that it is not installed.
 */
export async function startTpm(stateDir: string, signal: AbortSignal): Promise<Tpm> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  signal.throwIfAborted();
  await promisify(execFile)(
    'swtpm_setup',
    ['--tpm2', '--tpmstate', stateDir, '--pcr-banks', 'sha256', '--not-overwrite'],
    { signal, timeout: SETUP_MS },
  ).catch((error: Error) => {
    signal.throwIfAborted();
    throw failure(error.message);
  });
  // Its own short path: a socket's name has at most 107 bytes (unix(7)).
  const dir = await mkdtemp(join(tmpdir(), 'billet-tpm-'));
  const socket = join(dir, 'tpm');
  const program = ['--pdeathsig', 'KILL', '--', 'swtpm', 'socket', '--tpm2', '--terminate'];
  const places = ['--tpmstate', `dir=${stateDir}`, '--ctrl', `type=unixio,path=${socket}`];
  const child = spawn('setpriv', [...program, ...places], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-4096);
  });
  const exited = once(child, 'exit').catch(() => undefined);
  const stop = () => void child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  async function dispose(): Promise<void> {
    stop();
    await exited;
    signal.removeEventListener('abort', stop);
    await rm(dir, { recursive: true, force: true });
  }
  try {
    for (let waitedMs = 0; waitedMs < START_MS; waitedMs += POLL_MS) {
      const there = await stat(socket).catch(() => null);
      if (there?.isSocket()) return { socket, [Symbol.asyncDispose]: dispose };
      if (child.exitCode !== null) break;
      await delay(POLL_MS, undefined, { signal });
    }
    throw failure(stderr.trim() || 'no reason given');
  } catch (error) {
    await dispose();
    throw error;
  }
}

const failure = (reason: string) =>
  new BilletError('COMMAND_FAILED', `swtpm did not start: ${reason}`, {
    hint: 'apt-get install swtpm swtpm-tools',
  });
