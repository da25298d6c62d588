// QEMU's monitor (QMP, docs/interop/qmp-spec): commands with their replies, over a UNIX socket.

import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';

const Reply = z.union([
  z.object({ QMP: z.unknown() }),
  z.object({ id: z.number(), return: z.unknown() }),
  z.object({ id: z.number(), error: z.object({ class: z.string(), desc: z.string() }) }),
  z.object({ event: z.string() }),
]);

export interface Qmp {
  /** The `return` of a command. Throws COMMAND_FAILED with QEMU's words, or when the socket closes. */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  close(): void;
}

/** Throws LINK_DOWN when nothing listens at `path`. */
export async function openQmp(path: string, signal: AbortSignal): Promise<Qmp> {
  const socket = connect(path);
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let next = 1;

  const failAll = (reason: string) => {
    for (const { reject } of waiting.values()) reject(failed(reason));
    waiting.clear();
  };
  socket.on('error', (error) => failAll(error.message));
  socket.on('close', () => failAll('QEMU closed its monitor'));
  const lines = createInterface({ input: socket });
  // It repeats the socket's errors, which are dealt with above.
  lines.on('error', () => undefined);
  lines.on('line', (line) => {
    const reply = Reply.safeParse(JSON.parse(line)).data;
    if (!reply || !('id' in reply)) return;
    const answer = waiting.get(reply.id);
    waiting.delete(reply.id);
    if ('error' in reply) answer?.reject(failed(reply.error.desc));
    else answer?.resolve(reply.return);
  });

  try {
    await once(socket, 'connect', { signal });
  } catch (cause) {
    socket.destroy();
    throw new BilletError('LINK_DOWN', `no QEMU answers at ${path}`, {
      hint: 'start the machine first',
      cause,
    });
  }

  const execute: Qmp['execute'] = async (command, args) => {
    const id = next++;
    const answer = Promise.withResolvers<unknown>();
    if (socket.destroyed) throw failed('QEMU closed its monitor');
    waiting.set(id, answer);
    socket.write(
      `${JSON.stringify({ execute: command, id, ...(args ? { arguments: args } : {}) })}\n`,
    );
    return await answer.promise;
  };
  await execute('qmp_capabilities');
  return { execute, close: () => socket.destroy() };
}

const failed = (reason: string): BilletError =>
  new BilletError('COMMAND_FAILED', `QEMU: ${reason}`, {
    hint: 'look at the machine’s console log',
  });
