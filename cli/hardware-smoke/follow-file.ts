// A file as a console: read from its start, and followed while it grows.

import { open } from 'node:fs/promises';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';

export interface FollowOptions {
  readonly clock: Clock;
  /** A file is followed as it grows, as `tail -f` does; else it ends at its end. */
  readonly follow: boolean;
}

const POLL_MS = 100;
const BLOCK_BYTES = 64 * 1024;

/** A file that is not there yet is waited for; one that was cut short is read from its start. */
export async function* followFile(
  path: string,
  { clock, follow }: FollowOptions,
  signal: AbortSignal,
): AsyncIterable<Buffer> {
  const block = Buffer.alloc(BLOCK_BYTES);
  let position = 0;
  while (!signal.aborted) {
    const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' && follow) return null;
      throw unreadable(path, error);
    });
    try {
      for (; file !== null && !signal.aborted; ) {
        const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, position);
        if (bytesRead === 0) break;
        position += bytesRead;
        yield Buffer.from(block.subarray(0, bytesRead));
      }
      const size = (await file?.stat())?.size ?? 0;
      if (size < position) position = 0;
    } finally {
      await file?.close();
    }
    if (!follow) return;
    await clock.sleep(POLL_MS, signal).catch(() => undefined);
  }
}

export const unreadable = (path: string, cause: unknown) =>
  new BilletError(
    'SMOKE_BLOCKED',
    `the console ${path} cannot be read: ${cause === null ? 'neither a file nor a device' : (cause as Error).message}`,
    {
      hint: 'name a serial device (/dev/ttyUSB0), a file that the console is written to, or - for standard input',
      cause,
    },
  );
