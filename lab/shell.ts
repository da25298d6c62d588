// A root shell in a guest of the lab, over its second serial line, so that a test can look with its
// own eyes. It is there only in machines that are started with systemd.debug_shell=ttyS1.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { BilletError } from '#shared/errors.ts';

/** Kernel command line word that starts the shell (systemd-debug-generator(8)). */
export const SHELL_WORD = 'systemd.debug_shell=ttyS1';

export interface Ran {
  readonly code: number;
  /** Standard output and error as they came. */
  readonly output: string;
}

export interface Shell {
  /** Runs one line of shell. Throws TIMEOUT when it does not end in time. */
  run(command: string, timeoutMs?: number): Promise<Ran>;
  /** The same for what has to succeed. Throws COMMAND_FAILED with its output. */
  must(command: string, timeoutMs?: number): Promise<string>;
  close(): void;
}

const RETRY_MS = 1000;

/** Waits until the shell answers. */
export async function openShell(path: string, timeoutMs: number): Promise<Shell> {
  const socket = connect(path);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk.replaceAll('\r', '')).slice(-1024 * 1024);
  });

  async function until(found: () => boolean, limitMs: number, what: string): Promise<void> {
    const limit = AbortSignal.timeout(limitMs);
    while (!found()) {
      if (limit.aborted)
        throw new BilletError(
          'TIMEOUT',
          `the guest's shell: ${what} took over ${limitMs / 1000} s`,
          {
            hint: `it said: ${text.slice(-500)}`,
          },
        );
      await delay(20);
    }
  }

  const run: Shell['run'] = async (command, limitMs = 30_000) => {
    const mark = randomBytes(6).toString('hex');
    text = '';
    // The mark is put together by the shell, so that an echo of this line does not look like its end.
    socket.write(`${command}\nprintf '\\n%s%s %d\\n' '=${mark}' '=' $?\n`);
    const end = new RegExp(`\\n=${mark}= (\\d+)\\n`);
    await until(() => end.test(text), limitMs, command);
    const found = end.exec(text);
    const output = stripVTControlCharacters(text.slice(0, found?.index ?? 0)).replace(/^\n+/, '');
    return { code: Number(found?.[1]), output };
  };

  const start = AbortSignal.timeout(timeoutMs);
  for (;;) {
    // A plain sh: bash edits lines, and writes what terminals understand in between.
    socket.write('\nstty -echo; exec env TERM=dumb PS1= PS2= sh\n');
    const answered = await run('true', RETRY_MS).then(
      () => true,
      () => false,
    );
    if (answered) break;
    if (start.aborted)
      throw new BilletError('TIMEOUT', `no shell in the guest after ${timeoutMs / 1000} s`, {
        hint: `start the machine with ${SHELL_WORD}`,
      });
  }
  return {
    run,
    async must(command, limitMs) {
      const { code, output } = await run(command, limitMs);
      if (code === 0) return output;
      throw new BilletError('COMMAND_FAILED', `${command} ended with ${code}: ${output.trim()}`, {
        hint: 'look at the console log of the machine',
      });
    },
    close: () => socket.destroy(),
  };
}
