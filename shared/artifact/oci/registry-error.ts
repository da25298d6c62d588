// What a registry's refusals become: coded errors, and which of them are worth another try.
// Makes values; sends nothing.

import { z } from 'zod';
import { BilletError } from '../../errors.ts';

/** A failure that may pass: a broken connection, a busy server. Internal to the client. */
export interface Transient {
  readonly transient: true;
  readonly message: string;
  readonly cause?: unknown;
  readonly retryAfterMs: number;
  /** For when it does not pass. */
  readonly hint?: string;
}

const RETRY_STATUSES: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** distribution-spec v1.1, "Error Codes". */
const ErrorBody = z.object({
  errors: z.array(z.object({ code: z.string(), message: z.string().nullish() })).min(1),
});

export const transient = (message: string, cause?: unknown, retryAfterMs = 0): Transient => ({
  transient: true,
  message,
  cause,
  retryAfterMs,
});

export const isTransient = (error: unknown): error is Transient =>
  typeof error === 'object' && error !== null && 'transient' in error;

/**
 * The error for a reply that is not what was asked for; a Transient if trying again may help. `now`:
 * Unix milliseconds.
 */
export function refusal(
  what: string,
  { status, headers }: { readonly status: number; readonly headers: Headers },
  body: string,
  now: number,
): BilletError | Transient {
  const message = `${what}: status ${status}${explained(body)}`;
  if (RETRY_STATUSES.has(status))
    return transient(message, undefined, retryAfterMs(headers.get('retry-after'), now));
  if (status === 401 || status === 403)
    return new BilletError('REGISTRY_DENIED', message, {
      hint: 'check the credentials and that they may use this repository',
      details: { status },
    });
  if (status === 404)
    return new BilletError('NOT_FOUND', message, {
      hint: 'check repository, tag and digest; push the image first',
      details: { status },
    });
  return failed(message, { status });
}

/** RFC 9110 §10.2.3: seconds or an HTTP date. What is neither asks for nothing. */
function retryAfterMs(value: string | null, now: number): number {
  if (value === null) return 0;
  if (/^\d{1,9}$/.test(value)) return 1000 * Number(value);
  const at = /^[A-Z][a-z]{2,8}, /.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? 0 : Math.max(0, at - now);
}

export function failed(message: string, details: Record<string, unknown> = {}, cause?: unknown) {
  return new BilletError('REGISTRY_FAILED', message, {
    hint: 'look at the registry and its log: it does not answer as the OCI distribution specification says',
    details,
    cause,
  });
}

export const gaveUp = (attempts: number, last: Transient): BilletError =>
  new BilletError('REGISTRY_FAILED', `${last.message}; gave up after ${attempts} tries`, {
    hint: last.hint ?? hintFor(last.cause),
    cause: last.cause,
    details: { attempts },
  });

/** Codes of OpenSSL (x509_vfy.h) and Node for a certificate that does not convince. */
const UNTRUSTED =
  /^(?:UNABLE_TO_(?:VERIFY|GET_ISSUER)|(?:DEPTH_ZERO_)?SELF_SIGNED|CERT_|ERR_TLS_CERT_ALTNAME)/;

const hintFor = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause && UNTRUSTED.test(String(cause.code))
    ? 'its certificate is not trusted here: give this client the CA of the registry (docs/modules.md)'
    : 'check that the registry is up and reachable from here, then try again';

/** The codes of an error body, without control characters: a registry's text reaches terminals. */
function explained(body: string): string {
  const parsed = ErrorBody.safeParse(jsonOrNull(body));
  if (!parsed.success) return '';
  const codes = parsed.data.errors.map(({ code, message }) => `${code} ${message ?? ''}`.trim());
  return ` (${codes
    .join('; ')
    .replaceAll(/\p{Cc}/gu, ' ')
    .slice(0, 300)})`;
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a body that is no JSON explains nothing, and its status is reported anyway
  }
}
