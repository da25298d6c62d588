// The thread that writes to journald. The socket blocks while journald is stopped, and only this
// thread may be held by that.

import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

export interface JournalThreadData {
  /** journald's socket, inherited. */
  readonly fd: number;
}

/** Serves until the thread is terminated. */
export function serveJournal(): void {
  const port = parentPort;
  if (port === null) throw new TypeError('not a thread');
  const { fd }: JournalThreadData = workerData;
  port.on('message', (entry: Uint8Array) => {
    port.postMessage(write(fd, entry));
  });
}

/** False for an entry that was lost: journald restarts, or its socket is gone. */
function write(fd: number, entry: Uint8Array): boolean {
  try {
    writeSync(fd, entry);
    return true;
  } catch (error) {
    if (error instanceof Error && 'errno' in error) return false;
    throw error;
  }
}
