// Answers `billet agent status` and `plan` on the node itself, over a local socket that only root can
// open. Says what the agent knows; changes nothing.

import { chmod, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { BilletError } from '#shared/errors.ts';

export const STATUS_SOCKET = 'agent.sock';

export interface StatusSocketDeps {
  readonly path: string;
  /** JSON values for GET /status and GET /plan. */
  readonly status: () => unknown;
  readonly plan: (signal: AbortSignal) => Promise<unknown>;
}

/** Listens until `signal` aborts, and then rejects with its reason. */
export async function serveStatus(deps: StatusSocketDeps, signal: AbortSignal): Promise<never> {
  // A socket that a killed agent left behind answers nobody.
  await rm(deps.path, { force: true });
  const server = createServer((request, response) => {
    void answer(request.url ?? '', deps, signal).then((reply) => send(response, reply));
  });
  const stopped = Promise.withResolvers<never>();
  server.on('error', stopped.reject);
  signal.addEventListener('abort', () => stopped.reject(signal.reason), { once: true });
  server.listen(deps.path, () => {
    chmod(deps.path, 0o600).catch(stopped.reject);
  });
  try {
    return await stopped.promise;
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(deps.path, { force: true });
  }
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function answer(url: string, deps: StatusSocketDeps, signal: AbortSignal): Promise<Answer> {
  try {
    if (url === '/status') return { status: 200, body: deps.status() };
    if (url === '/plan') return { status: 200, body: await deps.plan(signal) };
    return { status: 404, body: { code: 'NOT_FOUND', detail: `no ${url} here`, hint: '' } };
  } catch (error) {
    const known = error instanceof BilletError ? error : null;
    const detail = error instanceof Error ? error.message : String(error);
    return {
      status: known?.status ?? 500,
      body: { code: known?.code ?? 'INTERNAL', detail, hint: known?.hint ?? '' },
    };
  }
}

function send(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(`${JSON.stringify(body)}\n`);
}
