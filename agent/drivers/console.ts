// The boot's voice: lines on the console, and in the kernel's log, from where the journal of the
// system image takes them.

import { closeSync, openSync, writeSync } from 'node:fs';

/** Writes one line. Never throws: a console that is gone must not stop a boot. */
export type Say = (line: string) => void;

/** Debug level: kept in the log, and not printed on the console a second time. */
const KMSG_PREFIX = '<7>billet: ';

export function bootConsole(stdoutFd = 1, kmsgPath = '/dev/kmsg'): Say {
  const kmsg = orNull(() => openSync(kmsgPath, 'w'));
  return (line) => {
    orNull(() => writeSync(stdoutFd, `${line}\n`));
    if (kmsg !== null && orNull(() => writeSync(kmsg, `${KMSG_PREFIX}${line}\n`)) === null)
      orNull(() => closeSync(kmsg));
  };
}

function orNull<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}
