// What a person types on the machine's consoles, a line at a time, without showing it: it may be a secret
// that the console's log would keep. Reads terminals; understands nothing.

import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { ReadStream } from 'node:tty';
import { textOrNull } from '../identity/source-file.ts';

/** Whatever a serial line sends: no more of it is kept. */
const LINE_MAX = 4096;

/** The next line of any console that the kernel writes to. Rejects when `signal` aborts. */
export async function typedLine(signal: AbortSignal, root = '/'): Promise<string> {
  const active = (await textOrNull(join(root, 'sys/class/tty/console/active'))) ?? '';
  const names = active.trim().split(/\s+/).filter(Boolean);
  const terminals = names.flatMap((name) => terminal(join(root, 'dev', name)) ?? []);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const stop = () => reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    for (const each of terminals) {
      let text = '';
      each.setEncoding('utf8').on('data', (chunk: string) => {
        text = (text + chunk).slice(-LINE_MAX);
        const [line, ...rest] = text.split(/[\r\n]/);
        if (rest.length > 0) resolve(line ?? '');
      });
      // One that goes away has nothing to say any more.
      each.on('error', () => undefined);
    }
    return await promise;
  } finally {
    signal.removeEventListener('abort', stop);
    for (const each of terminals) {
      each.setRawMode(false);
      each.destroy();
    }
  }
}

/** Null for what is no terminal, or cannot be opened. */
function terminal(path: string): ReadStream | null {
  let fd: number | null = null;
  try {
    fd = openSync(path, 'r+');
    return new ReadStream(fd).setRawMode(true);
  } catch (error) {
    if (fd !== null) closeSync(fd);
    if (!(error instanceof Error)) throw error;
    return null;
  }
}
