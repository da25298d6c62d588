// A TPM 2.0 in software for one machine (swtpm(8)): its state lies in a directory, so that the same
// machine has the same TPM after a power cut. Gone when its owner is.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BilletError } from '#shared/errors.ts';

export interface Tpm extends AsyncDisposable {
  /** For QemuSpec.tpmSocket; serves one start of a machine. */
  readonly socket: string;
}

const START_MS = 10_000;
const POLL_MS = 20;

/** Throws UNSUPPORTED when swtpm is not installed, COMMAND_FAILED with what it said. */
export async function startTpm(stateDir: string, signal: AbortSignal): Promise<Tpm> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
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
  for (let waitedMs = 0; waitedMs < START_MS; waitedMs += POLL_MS) {
    const there = await stat(socket).catch(() => null);
    if (there?.isSocket()) return { socket, [Symbol.asyncDispose]: dispose };
    if (child.exitCode !== null) break;
    await delay(POLL_MS, undefined, { signal });
  }
  await dispose();
  throw new BilletError(
    'COMMAND_FAILED',
    `swtpm did not start: ${stderr.trim() || 'no reason given'}`,
    {
      hint: 'apt-get install swtpm',
    },
  );
}
