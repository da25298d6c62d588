// The threads of the object store: starts them, asks them, stops them. Sealing and hashing keep a
// processor busy, so that they run beside download and decompression instead of between them.

import { Worker } from 'node:worker_threads';
import { CODES } from '#shared/error-codes.ts';
import { BilletError, type Code } from '#shared/errors.ts';
import type { Answer, Fault, ObjectThreadData, Replies, Request } from './messages.ts';

export interface ObjectThreads {
  readonly count: number;
  /** Requests to one thread are served in order. Throws what the thread threw. */
  ask<R extends Request>(thread: number, request: R): Promise<Replies[R['kind']]>;
  /** Until `release`, threads keep what requests have left open in them. */
  hold(): { release(): void };
  close(): Promise<void>;
}

interface Pending {
  readonly resolve: (reply: never) => void;
  readonly reject: (error: Error) => void;
}

/** Beside this source, or beside the bundle. */
const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './object-thread-main.ts' : './object-thread.mjs',
  import.meta.url,
);

/** A thread without work costs some 10 MB of memory, and a new one a few milliseconds. */
const IDLE_MS = 5_000;

/** Threads start when they are first asked, and end when nothing is asked for a while. */
export function objectThreads(data: ObjectThreadData, count: number): ObjectThreads {
  const threads = new Map<number, ObjectThread>();
  let holders = 0;
  let asked = 0;
  let idle: NodeJS.Timeout | null = null;

  async function end(): Promise<void> {
    const ending = [...threads.values()];
    threads.clear();
    await Promise.all(ending.map((thread) => thread.close()));
  }

  function settle(): void {
    if (idle !== null) clearTimeout(idle);
    idle = holders + asked > 0 ? null : setTimeout(() => void end(), IDLE_MS).unref();
  }

  return {
    count,
    async ask(index, request) {
      if (!(index < count)) throw new RangeError(`no thread ${index}`);
      const thread = threads.get(index) ?? startThread(data);
      threads.set(index, thread);
      asked += 1;
      settle();
      try {
        return await thread.ask(request);
      } finally {
        asked -= 1;
        settle();
      }
    },
    hold() {
      holders += 1;
      settle();
      return {
        release() {
          holders -= 1;
          settle();
        },
      };
    },
    async close() {
      if (idle !== null) clearTimeout(idle);
      await end();
    },
  };
}

type ObjectThread = ReturnType<typeof startThread>;

function startThread(data: ObjectThreadData) {
  const worker = new Worker(ENTRY, {
    workerData: data,
    name: 'objects',
    // node:ffi says that it is experimental, once a thread.
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const pending = new Map<number, Pending>();
  let next = 0;
  let ended: Error | null = null;

  const fail = (error: Error): void => {
    ended ??= error;
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
    worker.unref();
  };
  worker.on('message', (answer: Answer) => {
    const waiting = pending.get(answer.id);
    pending.delete(answer.id);
    // Idle threads must not keep the process alive.
    if (pending.size === 0) worker.unref();
    if ('fault' in answer) waiting?.reject(errorOf(answer.fault));
    else waiting?.resolve(answer.reply as never);
  });
  worker.on('error', (cause) => fail(stopped(`failed: ${String(cause)}`, cause)));
  worker.on('exit', (code) => fail(stopped(`ended with ${code}`)));
  worker.unref();

  return {
    ask<R extends Request>(request: R): Promise<Replies[R['kind']]> {
      if (ended !== null) return Promise.reject(ended);
      const id = next++;
      worker.ref();
      return new Promise((resolve, reject) => {
        pending.set(id, { resolve, reject });
        worker.postMessage({ id, request });
      });
    },
    async close() {
      await worker.terminate();
    },
  };
}

function errorOf({ code, message, hint, details }: Fault): Error {
  const known = code !== null && Object.hasOwn(CODES, code) ? (code as Code) : 'INTERNAL';
  return new BilletError(known, message, { hint, details });
}

function stopped(why: string, cause?: unknown): BilletError {
  return new BilletError('INTERNAL', `a thread of the object store ${why}`, {
    hint: 'this is a defect in Billet: please report it',
    cause,
  });
}
