// One WebSocket a node: heartbeats up, replies and nudges down. Speaks the protocol; what a heartbeat
// means is decided elsewhere.

import type { Writable } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { BilletError } from '#shared/errors.ts';
import { jsonOf } from '#shared/json.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import {
  type CoordinatorMessage,
  type Heartbeat,
  type HeartbeatReply,
  NodeMessage,
} from '#shared/schema/heartbeat.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { problemOf } from '../http/problem.ts';
import { randomName } from '../ids.ts';
import type { Log } from '../log.ts';
import { textFrame } from './frame.ts';
import { type Repeats, repeats } from './repeats.ts';

/** 64 modules with their digests, verdicts and conditions fit many times. */
const MESSAGE_BYTES_MAX = 256 * 1024;
/** Messages of one node that wait for their turn. */
const BACKLOG_MAX = 16;
/** RFC 6455 §7.4.1. */
const CLOSE = { goingAway: 1001, policy: 1008 } as const;

export interface ChannelOptions {
  readonly heartbeat: (instance: InstanceId, heartbeat: Heartbeat) => Promise<HeartbeatReply>;
  /** The same at once, of one that repeats `like`; null when that takes longer. */
  readonly repeated: (
    instance: InstanceId,
    heartbeat: Heartbeat,
    like: Heartbeat,
  ) => HeartbeatReply | null;
  readonly log: Log;
}

export interface Channels {
  /** Does the handshakes: `noServer`, one for all. */
  readonly server: WebSocketServer;
  /**
   * Over `wire`, as it was upgraded. A newer channel of a node takes the place of its older one.
   * `admit` throws what a message is answered with once the node's certificate is no good.
   */
  open(instance: InstanceId, socket: WebSocket, wire: Writable, admit: () => void): void;
  nudge(instance: InstanceId, what: 'desired' | 'tasks'): void;
  nudgeAll(what: 'desired' | 'tasks'): void;
  has(instance: InstanceId): boolean;
  count(): number;
  /** Pings who said nothing since the last time, and ends those that did not answer that ping. */
  ping(): void;
  closeAll(): void;
}

interface Line {
  readonly socket: WebSocket;
  readonly wire: Writable;
  readonly admit: () => void;
  /** Said something since the last round of pings. */
  heard: boolean;
  /** Was pinged in that round. */
  asked: boolean;
}

export function channels(options: ChannelOptions): Channels {
  const open = new Map<InstanceId, Line>();
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MESSAGE_BYTES_MAX,
  });

  /**
   * Past ws, which writes head and body of a frame apart, at a sixth of what a heartbeat costs
   * (docs/performance.md). It writes whole frames too, and all at once, as nothing is compressed.
   */
  const send = ({ socket, wire }: Line, message: CoordinatorMessage) => {
    if (socket.readyState === socket.OPEN) wire.write(textFrame(JSON.stringify(message)));
  };

  const leave = (instance: InstanceId, line: Line) => {
    if (open.get(instance) === line) open.delete(instance);
  };

  /** One after the other, so that replies keep their order and a flood waits at the node. */
  function receiver(instance: InstanceId, line: Line): (data: RawData) => void {
    const { socket } = line;
    let last: Promise<void> = Promise.resolve();
    let waiting = 0;
    const known = repeats();
    return (data) => {
      line.heard = true;
      const text = String(data);
      const refusal = refusalOf(line);
      const repeated = waiting === 0 && refusal === null ? known.read(text) : null;
      if (repeated !== null) {
        const { seq, heartbeat, like } = repeated;
        const reply = options.repeated(instance, heartbeat, like);
        if (reply !== null) return send(line, { type: 'reply', seq, reply });
      }
      waiting += 1;
      if (waiting >= BACKLOG_MAX) socket.pause();
      last = last
        .then(async () => send(line, await answer(options, instance, { text, refusal }, known)))
        .catch((error) => options.log.error('a channel broke', { instance, why: String(error) }))
        .finally(() => {
          waiting -= 1;
          if (waiting === 0 && socket.isPaused) socket.resume();
        });
    };
  }

  return {
    server,
    open(instance, socket, wire, admit) {
      const line: Line = { socket, wire, admit, heard: true, asked: false };
      const older = open.get(instance);
      open.set(instance, line);
      older?.socket.close(CLOSE.policy, 'replaced by a newer channel');
      socket.on('message', receiver(instance, line));
      socket.on('pong', () => {
        line.heard = true;
      });
      socket.on('error', (error) =>
        options.log.warn('a channel failed', { instance, why: error.message }),
      );
      socket.on('close', () => leave(instance, line));
    },
    nudge(instance, what) {
      const line = open.get(instance);
      if (line) send(line, { type: 'nudge', what });
    },
    nudgeAll(what) {
      for (const line of open.values()) send(line, { type: 'nudge', what });
    },
    has: (instance) => open.has(instance),
    count: () => open.size,
    ping() {
      for (const line of open.values()) {
        const { socket, heard, asked } = line;
        if (asked && !heard) socket.terminate();
        line.asked = !heard;
        line.heard = false;
        if (line.asked && socket.readyState === socket.OPEN) socket.ping();
      }
    },
    closeAll() {
      for (const { socket } of open.values())
        socket.close(CLOSE.goingAway, 'the coordinator stops');
    },
  };
}

/** The reply to one message. Errors are answers too: a node that misspeaks keeps its channel. */
async function answer(
  { heartbeat, log }: ChannelOptions,
  instance: InstanceId,
  { text, refusal }: { readonly text: string; readonly refusal: unknown },
  known: Repeats,
): Promise<CoordinatorMessage> {
  let seq = 0;
  try {
    const json = jsonOf(text);
    const parsed = NodeMessage.safeParse(json);
    if (!parsed.success)
      throw new BilletError('BODY_INVALID', `not a message: ${describeFaults(parsed.error)}`, {
        hint: 'send {"type":"heartbeat","seq":…,"heartbeat":{…}}',
      });
    seq = parsed.data.seq;
    if (refusal !== null) throw refusal;
    const reply = await heartbeat(instance, parsed.data.heartbeat);
    known.learn(text, json, parsed.data);
    return { type: 'reply', seq, reply };
  } catch (error) {
    const problem = JSON.parse(problemOf(error, randomName(), 'channel', log).body);
    return { type: 'error', seq, code: problem.code, message: problem.detail, hint: problem.hint };
  }
}

/** Why the node is not heard any more; null while it is. */
function refusalOf({ admit }: Line): unknown {
  try {
    admit();
    return null;
  } catch (error) {
    return error;
  }
}
