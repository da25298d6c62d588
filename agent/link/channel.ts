// Keeps one WebSocket open, with backoff between its lives, and sends heartbeats over it; over HTTP
// while there is none. Nothing is queued: a heartbeat that is late is worth nothing.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { heartbeat as heartbeatRoute } from '#shared/routes/node.ts';
import type { Heartbeat, HeartbeatReply } from '#shared/schema/heartbeat.ts';
import { backoffMs } from './backoff.ts';
import type { Session } from './session.ts';
import { type NodeSocket, type Nudge, openSocket } from './socket.ts';

export interface ChannelDeps {
  readonly clock: Clock;
  /** 0 to 1, as Math.random. */
  readonly random: () => number;
  /** The session in use now; another one after the certificate was renewed. */
  readonly session: () => Session;
  readonly onNudge: (what: Nudge) => void;
  /** The socket opened (null), or could not be opened or was lost (why). */
  readonly onState: (problem: string | null) => void;
}

export interface Channel {
  /** Over the socket when it is open, else over HTTP. Throws what the coordinator answers, or LINK_DOWN. */
  heartbeat(heartbeat: Heartbeat, signal: AbortSignal): Promise<HeartbeatReply>;
  /** Ends the socket, so that the next one uses the newest session. */
  reconnect(): void;
  readonly connected: boolean;
  /** Runs until `signal` aborts, and then rejects with its reason. */
  run(signal: AbortSignal): Promise<never>;
}

const RETRY = { baseMs: 1_000, capMs: 60_000 };
/** A socket that held this long was a good one: the backoff starts anew. */
const STABLE_MS = 60_000;

export function channel(deps: ChannelDeps): Channel {
  const { clock, random } = deps;
  let socket: NodeSocket | null = null;

  async function live(signal: AbortSignal): Promise<void> {
    const session = deps.session();
    const { coordinator } = session;
    const wire = session.openWire();
    socket = await openSocket({ coordinator, wire, clock, onNudge: deps.onNudge }, signal);
    deps.onState(null);
    try {
      const reason = await socket.closed;
      signal.throwIfAborted();
      deps.onState(reason);
    } finally {
      socket = null;
    }
  }

  return {
    get connected() {
      return socket !== null;
    },

    reconnect: () => socket?.close(),

    async heartbeat(body, signal) {
      if (socket !== null)
        try {
          return await socket.heartbeat(body, signal);
        } catch (error) {
          if (!isLost(error)) throw error;
        }
      const reply = await deps.session().client.call(heartbeatRoute, { body, signal });
      if (reply === null)
        throw new BilletError('INTERNAL', 'a heartbeat was answered with 304', {
          hint: 'a cache stands between agent and coordinator: remove it',
        });
      return reply.body;
    },

    async run(signal) {
      for (let attempt = 0; ; attempt++) {
        const openedAt = clock.monotonic();
        try {
          await live(signal);
        } catch (error) {
          signal.throwIfAborted();
          deps.onState(error instanceof Error ? error.message : String(error));
        }
        if (clock.monotonic() - openedAt > STABLE_MS) attempt = 0;
        await clock.sleep(backoffMs(attempt, random(), RETRY), signal);
      }
    },
  };
}

const isLost = (error: unknown): boolean =>
  error instanceof BilletError && (error.code === 'LINK_DOWN' || error.code === 'TIMEOUT');
