// One QEMU machine: started, watched over its serial console, asked things over QMP, and gone when
// its owner is. Nothing of it outlives `dispose`.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { BilletError } from '#shared/errors.ts';
import { type QemuSpec, qemuArguments } from '../arguments.ts';
import { openQmp, type Qmp } from './qmp.ts';

export interface Machine extends AsyncDisposable {
  readonly pid: number;
  readonly qmp: Qmp;
  /** Called with each whole line of the serial console, without its line break. */
  onLine(listener: (line: string) => void): void;
  /** Types on the serial console. */
  write(text: string): void;
  /** UNIX socket of the second serial line, if the machine has one. */
  readonly secondSerialPath: string;
  /** Resolves when the process is gone, with its exit code (null after a signal). */
  readonly exited: Promise<number | null>;
  /** Power cut: SIGKILL, nothing is flushed. */
  cut(): Promise<void>;
  /** The same as `await using`: the machine is killed if it still runs, its files are removed. */
  dispose(): Promise<void>;
}

const START_TIMEOUT_MS = 10_000;
const SOCKET_POLL_MS = 10;
/** setpriv(1), as the shell: no such program. */
const NOT_FOUND_BY_SETPRIV = 127;

/**
 * Starts a machine; everything on its console goes to `logPath` too. Throws COMMAND_FAILED with what
 * QEMU said when it does not come up, UNSUPPORTED when it is not installed.
 */
export async function startMachine(
  spec: QemuSpec,
  logPath: string,
  signal: AbortSignal,
): Promise<Machine> {
  signal.throwIfAborted();
  const dir = await mkdtemp(join(tmpdir(), 'billet-qemu-'));
  const paths = { qmp: join(dir, 'qmp'), serial: join(dir, 'serial'), second: join(dir, 'second') };
  // The kernel ends the machine when this process ends in any way at all, SIGKILL included.
  const program = ['--pdeathsig', 'KILL', '--', 'qemu-system-x86_64'];
  const child = spawn('setpriv', [...program, ...qemuArguments(spec, paths)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const stop = () => kill(child);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-16_384);
  });
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
    child.once('error', () => resolve(null));
  });
  const startError = once(child, 'error').then(([error]) => Promise.reject(notStarted(error)));
  startError.catch(() => undefined);

  let serial: Socket | null = null;
  async function dispose(): Promise<void> {
    stop();
    await exited;
    serial?.destroy();
    signal.removeEventListener('abort', stop);
    await rm(dir, { recursive: true, force: true });
  }
  signal.addEventListener('abort', stop, { once: true });

  try {
    const ended = exited.then((code) => Promise.reject(endedEarly(code, stderr)));
    ended.catch(() => undefined);
    // QEMU waits with the guest's first instruction until someone listens to its console.
    serial = await Promise.race([openSocket(paths.serial, signal), ended, startError]);
    const listeners = consoleLines(serial, logPath);
    const qmp = await Promise.race([openQmp(paths.qmp, signal), ended]);
    const line = serial;
    return {
      pid: child.pid ?? 0,
      qmp,
      exited,
      onLine: (listener) => listeners.push(listener),
      write: (text) => line.write(text),
      secondSerialPath: paths.second,
      async cut() {
        stop();
        await exited;
      },
      dispose,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function kill(child: ChildProcess): void {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
}

async function openSocket(path: string, signal: AbortSignal): Promise<Socket> {
  for (let waitedMs = 0; waitedMs < START_TIMEOUT_MS; waitedMs += SOCKET_POLL_MS) {
    const socket = connect(path);
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    if (connected) return socket;
    socket.destroy();
    await delay(SOCKET_POLL_MS, undefined, { signal });
  }
  throw new BilletError('TIMEOUT', `QEMU did not open ${path} in ${START_TIMEOUT_MS / 1000} s`, {
    hint: 'the host may be overloaded; try again',
  });
}

function consoleLines(serial: Socket, logPath: string): ((line: string) => void)[] {
  const listeners: ((line: string) => void)[] = [];
  const log = createWriteStream(logPath, { mode: 0o600 });
  serial.on('error', () => undefined);
  serial.pipe(log);
  const lines = createInterface({ input: serial, crlfDelay: Number.POSITIVE_INFINITY });
  lines.on('error', () => undefined);
  lines.on('line', (line) => {
    for (const listener of listeners) listener(line);
  });
  return listeners;
}

function notStarted(cause: unknown): BilletError {
  return new BilletError('UNSUPPORTED', 'qemu-system-x86_64 cannot be started on this machine', {
    hint: 'apt-get install qemu-system-x86',
    cause,
  });
}

function endedEarly(code: number | null, stderr: string): BilletError {
  if (code === NOT_FOUND_BY_SETPRIV) return notStarted(new Error(stderr.trim()));
  return new BilletError(
    'COMMAND_FAILED',
    `QEMU ended with ${code}: ${stderr.trim() || 'no reason given'}`,
    {
      hint: 'check that the disk images are not used by another machine',
    },
  );
}
