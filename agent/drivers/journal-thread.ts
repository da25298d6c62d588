// The thread that writes to journald. The socket blocks while journald is stopped, and only this
// thread may be held by that.

import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';

export const JOURNAL_ROLE = 'billet-journal-thread';

const Data = z.object({ role: z.literal(JOURNAL_ROLE), fd: z.int().nonnegative() });

/** True when this thread is the journal's, and then it serves it: first thing in a bundle's main. */
export function runJournalThread(): boolean {
  const data = Data.safeParse(workerData);
  if (!data.success || parentPort === null) return false;
  const port = parentPort;
  port.on('message', (entry: Uint8Array) => {
    port.postMessage(write(data.data.fd, entry));
  });
  return true;
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
