// One thread of the object store: takes requests, answers each. Started by threads.ts only.

import { parentPort, workerData } from 'node:worker_threads';
import { BilletError } from '#shared/errors.ts';
import { openLibc } from '../drivers/libc.ts';
import { fileVerity } from '../drivers/verity.ts';
import type { Answer, Fault, ObjectThreadData, Replies, Request } from './messages.ts';
import { type ObjectStoreThread, objectStoreThread } from './object-writer.ts';

/** Serves until the thread is terminated. */
export function serveObjects(): void {
  const port = parentPort;
  if (port === null) throw new TypeError('not a thread');
  const { dir, verity }: ObjectThreadData = workerData;
  const thread = objectStoreThread({ dir, verity: verity ? fileVerity(openLibc()) : null });
  port.on('message', ({ id, request }: { id: number; request: Request }) => {
    port.postMessage(answerTo(id, request, thread));
  });
}

function answerTo(id: number, request: Request, thread: ObjectStoreThread): Answer {
  try {
    return { id, reply: reply(request, thread) };
  } catch (error) {
    return { id, fault: faultOf(error) };
  }
}

function reply(request: Request, thread: ObjectStoreThread): Replies[Request['kind']] {
  switch (request.kind) {
    case 'write':
      return thread.write(request);
    case 'check':
      return thread.check(request.objects);
    case 'check-image':
      return thread.checkImage(request.image);
    case 'references':
      return thread.references(request.image);
    case 'drop':
      thread.drop(request.ingest);
      return null;
  }
}

function faultOf(error: unknown): Fault {
  if (error instanceof BilletError) {
    const { code, message, hint, details } = error;
    return { code, message, hint, details };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: null, message, hint: 'this is a defect in Billet: please report it', details: {} };
}
