// Loaded before anything else in each thread of agent-store-child.ts: in a thread of the object store
// it counts the changes that the thread makes to files, and kills the process (SIGKILL) at one of them.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import threads, { isMainThread } from 'node:worker_threads';

const kill = Number(process.env.BILLET_TEST_KILL_WORKER ?? -1);
const countPath = process.env.BILLET_TEST_COUNT;

if (isMainThread) {
  // A thread with arguments of its own does not inherit that this file is loaded first.
  class Hooked extends threads.Worker {
    constructor(entry: URL, options: threads.WorkerOptions = {}) {
      const execArgv = [...(options.execArgv ?? []), '--import', import.meta.url];
      super(entry, { ...options, execArgv });
    }
  }
  Object.assign(threads, { Worker: Hooked });
  syncBuiltinESMExports();
} else {
  const { appendFileSync, openSync, renameSync, unlinkSync, writeSync } = fs;
  let passed = 0;
  const point = (): void => {
    if (countPath !== undefined) appendFileSync(countPath, '.');
    if (passed++ === kill) process.kill(process.pid, 'SIGKILL');
  };
  const at = <A extends unknown[], R>(change: (...args: A) => R) =>
    ((...args: A): R => {
      point();
      return change(...args);
    }) as never;
  Object.assign(fs, {
    openSync: (path: string, flags: string, mode?: number) => {
      if (flags !== 'r') point();
      return openSync(path, flags, mode);
    },
    renameSync: at(renameSync),
    unlinkSync: at(unlinkSync),
    writeSync: at(writeSync),
  });
  syncBuiltinESMExports();
}
