// Errors as problem documents (RFC 9457). Tells the caller what a person should do next, and nothing
// of the inside: a defect is logged under its request id, and only the id goes out.

import type { z } from 'zod';
import { CODES } from '#shared/error-codes.ts';
import { BilletError } from '#shared/errors.ts';
import type { Log } from '../log.ts';

export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** `where` is the request line, for the log. */
export function problemOf(error: unknown, requestId: string, where: string, log: Log): Problem {
  const known = error instanceof BilletError ? error : defect(error);
  if (known.status >= 500 && known.code !== 'UNAVAILABLE')
    log.error(`${where}: ${known.message}`, {
      code: known.code,
      request: requestId,
      cause: causeOf(error),
    });
  // The message of an INTERNAL error may quote anything.
  const detail =
    known.code === 'INTERNAL' ? `the request failed inside, as ${requestId}` : known.message;
  const retryAfter = known.details.retryAfterSeconds;
  const document = {
    type: `urn:billet:error:${known.code}`,
    title: CODES[known.code].meaning,
    status: known.status,
    detail,
    code: known.code,
    hint: known.hint,
    details: known.code === 'INTERNAL' ? {} : known.details,
    instance: `urn:billet:request:${requestId}`,
  };
  return {
    status: known.status,
    headers: {
      'content-type': 'application/problem+json',
      ...(typeof retryAfter === 'number' ? { 'retry-after': String(retryAfter) } : {}),
      ...(known.status === 401 ? { 'www-authenticate': 'Bearer realm="billet"' } : {}),
      ...(Array.isArray(known.details.allow) ? { allow: known.details.allow.join(', ') } : {}),
    },
    body: JSON.stringify(document),
  };
}

const defect = (cause: unknown) =>
  new BilletError('INTERNAL', cause instanceof Error ? cause.message : String(cause), {
    hint: 'the coordinator logged the cause under this request id; report it as a defect',
    cause,
  });

function causeOf(error: unknown): string {
  const cause = error instanceof BilletError ? (error.cause ?? error) : error;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}

/** What `schema` makes of the input. BODY_INVALID with every issue; unknown fields by their names. */
export function parseInput<S extends z.ZodType>(
  schema: S,
  input: unknown,
  what: 'body' | 'query' | 'path',
): z.infer<S> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.flatMap(flatten).slice(0, 100);
  const unknown = issues.filter((issue) => issue.unknown).map((issue) => issue.path);
  const [first] = issues;
  const problem =
    unknown.length > 0
      ? `unknown field${unknown.length > 1 ? 's' : ''} ${unknown.join(', ')}`
      : `${first?.path || what}: ${first?.message}`;
  throw new BilletError('BODY_INVALID', `the ${what} does not fit: ${problem}`, {
    hint: 'details.issues names each field; /openapi.json has the schema',
    details: { issues: issues.map(({ path, message }) => ({ path, message })) },
  });
}

interface Issue {
  readonly path: string;
  readonly message: string;
  readonly unknown: boolean;
}

/** One for each unknown key; of a union, those of the member that came closest. */
function flatten(issue: z.core.$ZodIssue): Issue[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      path: [...path, key].join('.').slice(0, 256),
      message: 'unknown field',
      unknown: true,
    }));
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const closest = issue.errors.toSorted((a, b) => a.length - b.length)[0] ?? [];
    return closest.flatMap((one) => flatten({ ...one, path: [...issue.path, ...one.path] }));
  }
  return [{ path: path.join('.').slice(0, 256), message: issue.message, unknown: false }];
}
