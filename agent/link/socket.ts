// One life of the WebSocket: opens, sends heartbeats and matches replies by number, passes nudges
// on. Does not reconnect.

import { WebSocket } from 'undici';
import { problemError } from '#shared/client/problem.ts';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { channel as channelRoute } from '#shared/routes/node.ts';
import {
  CoordinatorMessage,
  type Heartbeat,
  type HeartbeatReply,
} from '#shared/schema/heartbeat.ts';
import type { Wire } from './session.ts';

export type Nudge = 'desired' | 'tasks';

export interface NodeSocket {
  /** Resolves with the reply. Rejects with LINK_DOWN when the socket closes first, TIMEOUT after 20 s, or the signal's reason. */
  heartbeat(heartbeat: Heartbeat, signal: AbortSignal): Promise<HeartbeatReply>;
  /** Resolves, never rejects, once the socket is closed, with the reason in words. */
  readonly closed: Promise<string>;
  close(): void;
}

export interface SocketOptions {
  readonly coordinator: string;
  /** Cut when the socket ends. */
  readonly wire: Wire;
  readonly clock: Clock;
  readonly onNudge: (what: Nudge) => void;
}

const OPEN_TIMEOUT_MS = 20_000;
const REPLY_TIMEOUT_MS = 20_000;
/** For the other side to answer a close; then the connection is cut. */
const CLOSE_GRACE_MS = 5_000;
const CLOSE_NORMAL = 1000;
/** RFC 6455 §7.4.2: 3000 to 3999 are for libraries and applications. */
const CLOSE_SILENT = 3000;

interface Waiting {
  readonly resolve: (reply: HeartbeatReply) => void;
  readonly reject: (error: unknown) => void;
  readonly answered: AbortController;
}

/** Resolves once the socket is open. Throws LINK_DOWN or the signal's reason. */
export async function openSocket(options: SocketOptions, signal: AbortSignal): Promise<NodeSocket> {
  const { clock, wire } = options;
  signal.throwIfAborted();
  const url = new URL(channelRoute.path, options.coordinator);
  url.protocol = 'wss:';
  const socket = new WebSocket(url, { dispatcher: wire.dispatcher });
  const waiting = new Map<number, Waiting>();
  const closed = Promise.withResolvers<string>();
  let seq = 0;

  socket.addEventListener('message', ({ data }) => receive(data, waiting, options.onNudge));
  function end(why: string): void {
    wire.cut();
    closed.resolve(why);
    for (const { reject, answered } of waiting.values()) {
      answered.abort();
      reject(socketDown(options.coordinator, why));
    }
    waiting.clear();
  }
  socket.addEventListener('close', ({ code, reason }) =>
    end(`closed with ${code}${reason === '' ? '' : `, ${JSON.stringify(reason)}`}`),
  );

  /** Ends it in any case: whoever does not answer heartbeats may not answer a close either. */
  function leave(code: number, why: string): void {
    socket.close(code);
    const over = new AbortController();
    void closed.promise.then(() => over.abort());
    clock.sleep(CLOSE_GRACE_MS, over.signal).then(
      () => end(why),
      () => undefined,
    );
  }
  const close = () => leave(CLOSE_NORMAL, 'closed, and the coordinator did not answer that');
  signal.addEventListener('abort', close, { once: true });
  void closed.promise.then(() => signal.removeEventListener('abort', close));
  try {
    await opened(socket, options, signal);
  } catch (error) {
    wire.cut();
    throw error;
  }

  return {
    closed: closed.promise,
    close,
    heartbeat: (heartbeat, given) =>
      new Promise((resolve, reject) => {
        if (given.aborted) return reject(given.reason);
        if (socket.readyState !== WebSocket.OPEN)
          return reject(socketDown(options.coordinator, 'not open'));
        const number = seq++;
        const answered = new AbortController();
        const giveUp = () => {
          waiting.delete(number);
          answered.abort();
          reject(given.reason);
        };
        given.addEventListener('abort', giveUp, { once: true, signal: answered.signal });
        clock.sleep(REPLY_TIMEOUT_MS, answered.signal).then(
          () => {
            waiting.delete(number);
            reject(lateReply(options.coordinator));
            // A socket that does not answer is of no use: the next life may be.
            leave(CLOSE_SILENT, 'no reply to a heartbeat');
          },
          () => undefined,
        );
        waiting.set(number, { resolve, reject, answered });
        socket.send(JSON.stringify({ type: 'heartbeat', seq: number, heartbeat }));
      }),
  };
}

function opened(
  socket: WebSocket,
  { coordinator, clock }: SocketOptions,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = new AbortController();
    clock.sleep(OPEN_TIMEOUT_MS, done.signal).then(
      () => fail('timed out'),
      () => undefined,
    );
    const fail = (why: string) => {
      done.abort();
      if (socket.readyState === WebSocket.CONNECTING) socket.close();
      reject(signal.aborted ? signal.reason : socketDown(coordinator, why));
    };
    socket.addEventListener('open', () => {
      done.abort();
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
  entry.answered.abort();
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
