// The WebSocket of one simulated agent: heartbeats up, replies and nudges down. Does not reconnect: a
// channel that ends is counted.

import { WebSocket } from 'ws';
import type { Clock } from '#shared/clock.ts';
import { channel } from '#shared/routes/node.ts';
import type { CoordinatorMessage, Heartbeat } from '#shared/schema/heartbeat.ts';
import { type Identity, linkDown, type Requester } from './sim-request.ts';

export interface SimChannel {
  isOpen(): boolean;
  /** Milliseconds to the reply, and the ETag in it. LINK_DOWN when none comes in time. */
  beat(heartbeat: Heartbeat): Promise<{ readonly ms: number; readonly etag: string }>;
  /** Says goodbye, and resolves when it is gone. */
  close(): Promise<void>;
}

const TIMEOUT_MS = 30_000;
const GRACE_MS = 2_000;
const CLOSE_NORMAL = 1000;

interface Waiting {
  readonly since: number;
  readonly answered: AbortController;
  readonly done: PromiseWithResolvers<{ readonly ms: number; readonly etag: string }>;
}

export async function openSimChannel(options: {
  readonly url: string;
  readonly ca: string;
  readonly identity: Identity;
  readonly pool: Requester['pool'];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onNudge: (what: 'desired' | 'tasks') => void;
}): Promise<SimChannel> {
  const { url, ca, identity, pool, clock, onNudge } = options;
  const address = new URL(channel.path, url);
  address.protocol = 'wss:';
  const socket = new WebSocket(address, {
    agent: pool,
    ca,
    ...identity,
    minVersion: 'TLSv1.3',
    handshakeTimeout: TIMEOUT_MS,
    perMessageDeflate: false,
    skipUTF8Validation: true,
  });
  const waiting = new Map<number, Waiting>();
  const closed = Promise.withResolvers<void>();
  let seq = 0;
  const down = (why: string) => linkDown('the channel', new Error(why));
  await new Promise<void>((resolve, reject) => {
    const giveUp = () => socket.terminate();
    options.signal.addEventListener('abort', giveUp, { once: true });
    socket.once('open', () => {
      options.signal.removeEventListener('abort', giveUp);
      resolve();
    });
    // Also later ones: each is followed by a close.
    socket.on('error', (error) => reject(linkDown('the channel', error)));
  });

  const take = (number: number): Waiting | undefined => {
    const asked = waiting.get(number);
    waiting.delete(number);
    asked?.answered.abort();
    return asked;
  };
  socket.on('message', (data) => {
    const message = JSON.parse(String(data)) as CoordinatorMessage;
    if (message.type === 'nudge') return onNudge(message.what);
    const asked = take(message.seq);
    if (message.type === 'error') asked?.done.reject(down(`${message.code}: ${message.message}`));
    else if (asked) {
      const ms = clock.monotonic() - asked.since;
      asked.done.resolve({ ms, etag: message.reply.desired });
    }
  });
  socket.on('close', (code) => {
    closed.resolve();
    for (const number of waiting.keys()) take(number)?.done.reject(down(`closed with ${code}`));
  });

  return {
    isOpen: () => socket.readyState === WebSocket.OPEN,
    async beat(heartbeat) {
      if (socket.readyState !== WebSocket.OPEN) throw down('not open');
      const number = seq++;
      const asked = {
        since: clock.monotonic(),
        answered: new AbortController(),
        done: Promise.withResolvers<{ readonly ms: number; readonly etag: string }>(),
      };
      waiting.set(number, asked);
      clock.sleep(TIMEOUT_MS, asked.answered.signal).then(
        () => take(number)?.done.reject(down('no reply to a heartbeat')),
        () => undefined,
      );
      socket.send(JSON.stringify({ type: 'heartbeat', seq: number, heartbeat }));
      return await asked.done.promise;
    },
    async close() {
      if (socket.readyState === WebSocket.CLOSED) return;
      socket.close(CLOSE_NORMAL);
      const over = new AbortController();
      const late = clock.sleep(GRACE_MS, over.signal).catch(() => undefined);
      await Promise.race([closed.promise, late]);
      over.abort();
      socket.terminate();
    },
  };
}
