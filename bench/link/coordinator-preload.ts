// Loaded into a coordinator before its own code (`--import`), which stays as it is: says over IPC
// what the process has used. Touches nothing of the coordinator.

import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { answerQuestions } from './questions.ts';

const SETTLE_MS = 200;
const COLLECTIONS = 4;

export interface Used {
  /** All threads, user and system, since the start. */
  readonly cpuMs: number;
  /** The main thread could have run, and others had the CPU. */
  readonly queuedMs: number;
}

export interface Held {
  readonly rssBytes: number;
  readonly heapBytes: number;
}

answerQuestions({
  used(): Used {
    const { user, system } = process.cpuUsage();
    // Run, queued (ns), slices: Documentation/scheduler/sched-stats.rst.
    const [, queued = '0'] = readFileSync('/proc/self/schedstat', 'utf8').split(' ');
    return { cpuMs: (user + system) / 1000, queuedMs: Number(queued) / 1e6 };
  },
  /** After full collections: what dies in one frees what the next one finds. */
  async held(): Promise<Held> {
    for (let round = 0; round < COLLECTIONS; round += 1) {
      globalThis.gc?.();
      await setTimeout(SETTLE_MS);
    }
    const { rss, heapUsed } = process.memoryUsage();
    return { rssBytes: rss, heapBytes: heapUsed };
  },
});
