// The agent's log: structured entries to journald where it was given a socket, `<n>` lines on stderr
// elsewhere. Never waits for journald and never throws.

import { Worker } from 'node:worker_threads';
import { BilletError } from '#shared/errors.ts';
import { encodeEntry, encodeLine } from './journal-entry.ts';
import type { JournalThreadData } from './journal-thread.ts';

/** Upper-case names become fields of the entry, e.g. BILLET_STAGE. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  /** An error with its code and hint. */
  fail(error: unknown, fields?: LogFields): void;
  close(): Promise<void>;
}

/** syslog(3) priorities. */
const PRIORITY = { error: 3, warning: 4, info: 6 } as const;
const IDENTIFIER = 'billet-agent';
/** Entries on their way to a stopped journald; more are counted and dropped. */
const WAITING_MAX = 1_000;

export interface LogOptions {
  /** journald's socket, inherited; null without one. */
  readonly journalFd: number | null;
  readonly stderr: { write(text: string): unknown };
}

export function openLog({ journalFd, stderr }: LogOptions): Log {
  const journal = journalFd === null ? null : startThread(journalFd);

  function log(priority: number, message: string, fields: LogFields): void {
    if (journal === null) {
      stderr.write(encodeLine(priority, lineOf(message, fields)));
      return;
    }
    const texts = Object.entries(fields).map(([key, value]) => [key, String(value)]);
    journal.send({
      MESSAGE: message,
      PRIORITY: String(priority),
      SYSLOG_IDENTIFIER: IDENTIFIER,
      ...Object.fromEntries(texts),
    });
  }

  return {
    info: (message, fields = {}) => log(PRIORITY.info, message, fields),
    warn: (message, fields = {}) => log(PRIORITY.warning, message, fields),
    fail: (error, fields = {}) => {
      const known = error instanceof BilletError ? error : null;
      const message = known?.message ?? (error instanceof Error ? error.stack : null);
      log(PRIORITY.error, message ?? String(error), {
        ...(known === null ? {} : { BILLET_CODE: known.code, BILLET_HINT: known.hint }),
        ...fields,
      });
    },
    close: async () => await journal?.close(),
  };
}

function lineOf(message: string, fields: LogFields): string {
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  return `${message}${rest.join('')}`;
}

/** Beside this source, or beside the bundle. */
const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './journal-thread-main.ts' : './journal-thread.mjs',
  import.meta.url,
);

function startThread(fd: number) {
  const workerData: JournalThreadData = { fd };
  const worker = new Worker(ENTRY, { workerData, name: 'journal' });
  const drained = Promise.withResolvers<void>();
  let waiting = 0;
  let dropped = 0;
  let closing = false;
  const settle = () => {
    if (closing && waiting === 0) drained.resolve();
  };
  worker.on('message', (written: boolean) => {
    waiting -= 1;
    if (!written) dropped += 1;
    settle();
  });
  worker.on('error', () => {
    waiting = 0;
    drained.resolve();
  });
  worker.unref();
  return {
    send(fields: Readonly<Record<string, string>>): void {
      if (waiting >= WAITING_MAX) {
        dropped += 1;
        return;
      }
      waiting += 1;
      const lost = dropped > 0 ? { BILLET_DROPPED: String(dropped) } : {};
      dropped = 0;
      worker.postMessage(encodeEntry({ ...fields, ...lost }));
    },
    /** Waits for what is on its way, but not for a journald that does not answer. */
    async close(): Promise<void> {
      closing = true;
      settle();
      const soon = new Promise<void>((resolve) => setTimeout(resolve, 1_000).unref());
      await Promise.race([drained.promise, soon]);
      await worker.terminate();
    },
  };
}
