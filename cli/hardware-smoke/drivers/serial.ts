// A serial line as a console: set to raw with stty(1), no shell in between, only ever read, and left as
// it was found.

import { constants, openSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { BilletError } from '#shared/errors.ts';
import { type ConsoleSource, chunks } from '../chunks.ts';
import { runTool } from './run-tool.ts';

/** 8 data bits, no parity, one stop bit, no flow control, no wait for a carrier. */
const LINE = ['raw', '-echo', 'cs8', '-parenb', '-cstopb', '-crtscts', '-ixon', 'clocal'];
/** A line with output that nobody takes makes stty wait. */
const STTY_MS = 10_000;

/** Throws SMOKE_BLOCKED with what stty or the kernel says. */
export async function openSerial(path: string, baud: number): Promise<ConsoleSource> {
  const before = (await stty(path, '-g')).trim();
  await stty(path, String(baud), ...LINE);
  return {
    name: `${path} at ${baud} baud`,
    async *read(signal) {
      try {
        yield* chunks(opened(path), signal);
      } finally {
        // A line that was unplugged has nothing to be restored.
        await stty(path, before).catch(() => undefined);
      }
    },
  };
}

/** What it says. Not ended by Ctrl-C: that is when a line is restored. */
async function stty(path: string, ...words: readonly string[]): Promise<string> {
  const { signal } = new AbortController();
  const ran = await runTool(['stty', '-F', path, ...words], { signal, timeoutMs: STTY_MS });
  if (ran?.code === 0) return ran.stdout;
  if (ran === null) throw blocked(path, 'stty is not installed');
  throw blocked(path, ran.late ? 'it does not take settings in time' : ran.stderr.trim());
}

/** libuv reads a terminal without blocking a thread: it can be given up at any moment. */
function opened(path: string): ReadStream {
  try {
    return new ReadStream(openSync(path, constants.O_RDONLY | constants.O_NOCTTY));
  } catch (cause) {
    throw blocked(path, (cause as Error).message, cause);
  }
}

const blocked = (path: string, why: string, cause?: unknown) =>
  new BilletError('SMOKE_BLOCKED', `the serial line ${path} cannot be used: ${why}`, {
    hint: 'are you in the group dialout, and does no other program (minicom, a getty) hold the line?',
    cause,
  });
