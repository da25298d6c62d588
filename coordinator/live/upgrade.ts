// The HTTP half of the channel (RFC 6455 §4.2): proves the node, then hands the socket over. A
// refusal is a problem document, as for any request.

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { BilletError } from '#shared/errors.ts';
import { channel } from '#shared/routes/node.ts';
import type { Callers } from '../caller.ts';
import { problemOf } from '../http/problem.ts';
import { randomName } from '../ids.ts';
import type { Log } from '../log.ts';
import type { Channels } from './channel.ts';
import type { Live } from './live.ts';

export function channelUpgrade(options: {
  readonly callers: Callers;
  readonly channels: Channels;
  readonly live: Live;
  readonly log: Log;
  readonly stopping: AbortSignal;
}) {
  const { callers, channels, live, log, stopping } = options;

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if ((request.url ?? '').split('?')[0] !== channel.path)
      throw new BilletError('NOT_FOUND', 'no WebSocket here', { hint: `use ${channel.path}` });
    if (stopping.aborted)
      throw new BilletError('UNAVAILABLE', 'the coordinator is stopping', {
        hint: 'connect again in a moment',
      });
    const caller = await callers.ofRoute(request, channel);
    if (caller.role !== 'node') return;
    const admit = callers.readmission(request.socket);
    await live.view(caller.id);
    if (socket.destroyed) return;
    channels.server.handleUpgrade(request, socket, head, (opened) =>
      channels.open(caller.id, opened, socket, admit),
    );
  }

  return (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    upgrade(request, socket, head).catch((error) => {
      const problem = problemOf(error, randomName(), 'upgrade', log);
      const headers = {
        ...problem.headers,
        'content-length': String(Buffer.byteLength(problem.body)),
        connection: 'close',
      };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.end(`HTTP/1.1 ${problem.status} Refused\r\n${lines.join('')}\r\n${problem.body}`);
    });
  };
}
