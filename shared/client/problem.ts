// Problem documents (RFC 9457) as a client reads them. A code that this version does not know keeps
// its name in the details and becomes the code of its status.

import { z } from 'zod';
import { CODES } from '../error-codes.ts';
import { BilletError, type Code } from '../errors.ts';

const Problem = z.object({
  code: z.string().max(64),
  title: z.string().optional(),
  detail: z.string().optional(),
  hint: z.string().default(''),
  details: z.record(z.string(), z.unknown()).default({}),
});

const BY_STATUS: Readonly<Record<number, Code>> = {
  400: 'BODY_INVALID',
  401: 'UNAUTHENTICATED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  409: 'CONFLICT',
  410: 'COMPACTED',
  413: 'BODY_TOO_LARGE',
  429: 'TOO_MANY_REQUESTS',
  504: 'TIMEOUT',
};

const codeOfStatus = (status: number): Code =>
  BY_STATUS[status] ?? (status >= 500 ? 'UNAVAILABLE' : 'BODY_INVALID');

const isCode = (code: string): code is Code => Object.hasOwn(CODES, code);

/**
 * The error behind a reply of `status`; `where` stands in the message of a reply without one. What
 * Retry-After asked for stands in the details as `retryAfterSeconds`.
 */
export function problemError(
  status: number,
  text: string,
  where: string,
  retryAfterSeconds: number | null = null,
): BilletError {
  const problem = parse(text);
  const retry = retryAfterSeconds === null ? {} : { retryAfterSeconds };
  if (problem === null)
    return new BilletError(codeOfStatus(status), `${where} answered ${status}`, {
      hint: 'the answer is no problem document: is a proxy between, or another service there?',
      details: { status, ...retry },
    });
  const known = isCode(problem.code) ? problem.code : null;
  return new BilletError(
    known ?? codeOfStatus(status),
    problem.detail ?? problem.title ?? `${where} answered ${status}`,
    {
      hint: problem.hint,
      details: known
        ? { ...problem.details, ...retry }
        : { ...problem.details, code: problem.code, status, ...retry },
    },
  );
}

function parse(text: string): z.infer<typeof Problem> | null {
  try {
    return Problem.safeParse(JSON.parse(text)).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
