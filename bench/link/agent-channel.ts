// An agent's end of the channel, as small as it can be while it is a real one: TLS with the node's
// own certificate, RFC 6455, replies in their order. For loads of thousands in one process.

import { WebSocket } from 'ws';
import { systemClock } from '#shared/clock.ts';
import { channel as route } from '#shared/routes/node.ts';
import { CoordinatorMessage } from '#shared/schema/heartbeat.ts';
import type { FleetAgent } from './fleet.ts';
import { reportOf } from './report.ts';

export interface AgentChannel {
  /**
   * Sends one, and resolves with the milliseconds from `since` (monotonic) to the reply. Replies come
   * in order. Rejects when the answer is an error, or the channel closes.
   */
  beat(since: number): Promise<number>;
  close(): void;
}

export interface Server {
  readonly url: string;
  /** PEM of the CA. */
  readonly ca: string;
}

/** Over a TLS session of its own, with a full handshake. `number` makes its reports its own. */
export function openChannel(
  { url, ca }: Server,
  { key, certificate }: FleetAgent,
  number: number,
): Promise<AgentChannel> {
  const address = new URL(route.path, url);
  address.protocol = 'wss:';
  const socket = new WebSocket(address, {
    ca,
    key,
    cert: certificate ?? '',
    minVersion: 'TLSv1.3',
    agent: false,
    perMessageDeflate: false,
  });
  /** The oldest first. */
  const waiting: (PromiseWithResolvers<number> & {
    readonly seq: number;
    readonly since: number;
  })[] = [];
  let seq = 0;

  socket.on('message', (data) => {
    const message = JSON.parse(String(data));
    if (message.type === 'nudge') return;
    const asked = waiting.shift();
    // The first in full; then only what it is, so that the load stays light.
    const fits = asked?.seq !== 0 || CoordinatorMessage.safeParse(message).success;
    if (fits && message.type === 'reply' && message.seq === asked?.seq)
      asked?.resolve(systemClock.monotonic() - asked.since);
    else asked?.reject(new Error(`no reply to ${asked.seq}: ${data}`));
  });

  const agent: AgentChannel = {
    beat(since) {
      const asked = { ...Promise.withResolvers<number>(), seq, since };
      waiting.push(asked);
      const heartbeat = reportOf(number, seq);
      socket.send(JSON.stringify({ type: 'heartbeat', seq, heartbeat }));
      seq += 1;
      return asked.promise;
    },
    close: () => socket.terminate(),
  };
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(agent));
    socket.on('error', reject);
    socket.on('close', (code) => {
      for (const { reject: end } of waiting) end(new Error(`closed with ${code}`));
      reject(new Error(`closed with ${code}`));
    });
  });
}
