// One life of the WebSocket: opens, sends heartbeats and matches replies by number, passes nudges
// on. Does not reconnect.

import { type Dispatcher, WebSocket } from 'undici';
import { problemError } from '#shared/client/problem.ts';
import { BilletError } from '#shared/errors.ts';
import { channel as channelRoute } from '#shared/routes/node.ts';
import {
  CoordinatorMessage,
  type Heartbeat,
  type HeartbeatReply,
} from '#shared/schema/heartbeat.ts';

export type Nudge = 'desired' | 'tasks';

export interface NodeSocket {
  /** Resolves with the reply. Rejects with LINK_DOWN when the socket closes first, TIMEOUT after 20 s. */
  heartbeat(heartbeat: Heartbeat): Promise<HeartbeatReply>;
  /** Resolves, never rejects, once the socket is closed, with the reason in words. */
  readonly closed: Promise<string>;
  close(): void;
}

export interface SocketOptions {
  readonly coordinator: string;
  readonly dispatcher: Dispatcher;
  readonly onNudge: (what: Nudge) => void;
}

const OPEN_TIMEOUT_MS = 20_000;
const REPLY_TIMEOUT_MS = 20_000;
const CLOSE_NORMAL = 1000;

interface Waiting {
  readonly resolve: (reply: HeartbeatReply) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

/** Resolves once the socket is open. Throws LINK_DOWN or the signal's reason. */
export async function openSocket(options: SocketOptions, signal: AbortSignal): Promise<NodeSocket> {
  signal.throwIfAborted();
  const url = new URL(channelRoute.path, options.coordinator);
  url.protocol = 'wss:';
  const socket = new WebSocket(url, { dispatcher: options.dispatcher });
  const waiting = new Map<number, Waiting>();
  const closed = Promise.withResolvers<string>();
  let seq = 0;

  socket.addEventListener('message', ({ data }) => receive(data, waiting, options.onNudge));
  socket.addEventListener('close', ({ code, reason }) => {
    closed.resolve(reason === '' ? `closed with ${code}` : reason);
    for (const { reject, timer } of waiting.values()) {
      clearTimeout(timer);
      reject(socketDown(options.coordinator, `closed with ${code}`));
    }
    waiting.clear();
  });
  const close = () => socket.close(CLOSE_NORMAL);
  signal.addEventListener('abort', close, { once: true });
  void closed.promise.then(() => signal.removeEventListener('abort', close));
  await opened(socket, options.coordinator, signal);

  return {
    closed: closed.promise,
    close,
    heartbeat: (heartbeat) =>
      new Promise((resolve, reject) => {
        if (socket.readyState !== WebSocket.OPEN)
          return reject(socketDown(options.coordinator, 'not open'));
        const number = seq++;
        const timer = setTimeout(() => {
          waiting.delete(number);
          reject(lateReply(options.coordinator));
          // A socket that does not answer is of no use: the next life may be.
          socket.close(3000, 'no reply');
        }, REPLY_TIMEOUT_MS);
        waiting.set(number, { resolve, reject, timer });
        socket.send(JSON.stringify({ type: 'heartbeat', seq: number, heartbeat }));
      }),
  };
}

function opened(socket: WebSocket, coordinator: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail('timed out'), OPEN_TIMEOUT_MS);
    const fail = (why: string) => {
      clearTimeout(timer);
      if (socket.readyState === WebSocket.CONNECTING) socket.close();
      reject(signal.aborted ? signal.reason : socketDown(coordinator, why));
    };
    socket.addEventListener('open', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.addEventListener('error', ({ message }) => fail(message || 'refused'));
    socket.addEventListener('close', () => fail('closed'));
  });
}

function receive(
  data: unknown,
  waiting: Map<number, Waiting>,
  onNudge: (what: Nudge) => void,
): void {
  const message = parse(data);
  // A newer coordinator may say what this version does not know.
  if (message === null) return;
  if (message.type === 'nudge') {
    onNudge(message.what);
    return;
  }
  const entry = waiting.get(message.seq);
  if (entry === undefined) return;
  waiting.delete(message.seq);
  clearTimeout(entry.timer);
  if (message.type === 'reply') entry.resolve(message.reply);
  else
    entry.reject(
      problemError(
        400,
        JSON.stringify({ code: message.code, detail: message.message, hint: message.hint }),
        'the channel',
      ),
    );
}

function parse(data: unknown): CoordinatorMessage | null {
  if (typeof data !== 'string') return null;
  try {
    return CoordinatorMessage.safeParse(JSON.parse(data)).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

const socketDown = (coordinator: string, why: string) =>
  new BilletError('LINK_DOWN', `the channel to ${coordinator}: ${why}`, {
    hint: 'heartbeats go over HTTP meanwhile; look at the log of the coordinator',
  });

const lateReply = (coordinator: string) =>
  new BilletError('TIMEOUT', `the channel to ${coordinator} gave no reply to a heartbeat`, {
    hint: 'look at the load of the coordinator and at the network between',
  });
