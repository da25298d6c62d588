// Where a console comes from: a serial device, a file that grows, a stream. Gives bytes as they come
// and ends when there are no more; judges nothing.

import { stat } from 'node:fs/promises';
import { type ConsoleSource, chunks } from './chunks.ts';
import { openSerial } from './drivers/serial.ts';
import { type FollowOptions, followFile, unreadable } from './follow-file.ts';

export interface SourceOptions extends FollowOptions {
  readonly stdin: NodeJS.ReadableStream;
  readonly baud: number;
}

/** `-` is standard input. SMOKE_BLOCKED where there is nothing that could be read: a pipe with a name, too. */
export async function openConsole(path: string, options: SourceOptions): Promise<ConsoleSource> {
  if (path === '-') return { name: 'standard input', read: (s) => chunks(options.stdin, s) };
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && options.follow && !path.startsWith('/dev/')) return null;
    throw unreadable(path, error);
  });
  if (found?.isCharacterDevice()) return await openSerial(path, options.baud);
  if (found !== null && !found.isFile()) throw unreadable(path, null);
  return { name: path, read: (signal) => followFile(path, options, signal) };
}
