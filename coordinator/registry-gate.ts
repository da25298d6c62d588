// Who may do what in the registry: nodes and viewers pull, operators push. Refuses in the words of
// the distribution specification, so that registry clients log in.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { BilletError } from '#shared/errors.ts';
import type { Callers } from './caller.ts';
import type { RegistryHandler } from './registry/handler.ts';

export const isRegistryPath = (url: string): boolean => /^\/v2(?:[/?]|$)/.test(url);

/** Rejects for what the registry's handler does not answer itself: defects of the caller check. */
export function registryGate(callers: Callers, registry: RegistryHandler) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      const caller = await callers.ofAnyone(request);
      const pulls = caller.role === 'node' || caller.role === 'viewer';
      await registry(request, response, { role: pulls ? 'read' : 'write' });
    } catch (error) {
      if (!(error instanceof BilletError) || error.status >= 500) throw error;
      refuse(request, response, error);
    }
  };
}

/** distribution-spec v1.1, "Error Codes": UNAUTHORIZED, DENIED, TOOMANYREQUESTS. */
function refuse(request: IncomingMessage, response: ServerResponse, error: BilletError): void {
  const code =
    error.status === 429 ? 'TOOMANYREQUESTS' : error.status === 403 ? 'DENIED' : 'UNAUTHORIZED';
  const { message, hint, details } = error;
  const body = JSON.stringify({ errors: [{ code, message, detail: { code: error.code, hint } }] });
  response.writeHead(error.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'docker-distribution-api-version': 'registry/2.0',
    ...(error.status === 401 ? { 'www-authenticate': 'Basic realm="billet"' } : {}),
    ...(details.retryAfterSeconds ? { 'retry-after': String(details.retryAfterSeconds) } : {}),
    ...(request.complete ? {} : { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
