// A serial line as a console: set to raw with stty(1), no shell in between, and only ever read.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { ReadStream } from 'node:tty';
import { BilletError } from '#shared/errors.ts';
import { type ConsoleSource, chunks } from '../chunks.ts';

/** 8 data bits, no parity, one stop bit, no flow control, no wait for a carrier. */
const LINE = ['raw', '-echo', 'cs8', '-parenb', '-cstopb', '-crtscts', '-ixon', 'clocal'];

/** Throws SMOKE_BLOCKED with what stty or the kernel says. */
export async function openSerial(path: string, baud: number): Promise<ConsoleSource> {
  const child = spawn('stty', ['-F', path, String(baud), ...LINE], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said = text(child.stderr);
  const [code] = (await once(child, 'close').catch((cause: Error) => {
    throw blocked(path, cause.message, cause);
  })) as [number | null];
  if (code !== 0) throw blocked(path, (await said).trim());
  return { name: `${path} at ${baud} baud`, read: (signal) => chunks(opened(path), signal) };
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
