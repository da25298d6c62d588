// How long to wait before the next attempt: exponential with full jitter, so that a fleet that lost
// its coordinator comes back spread out. Pure.

import { BilletError } from '#shared/errors.ts';

export interface BackoffRange {
  readonly baseMs: number;
  readonly capMs: number;
}

/** `attempt` counts from 0; `random` is 0 to 1. The result is 0 to min(capMs, baseMs * 2^attempt). */
export function backoffMs(
  attempt: number,
  random: number,
  { baseMs, capMs }: BackoffRange,
): number {
  return Math.floor(random * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30)));
}

/** Whoever answers may not hold a node off for longer than this. */
const RETRY_AFTER_MAX_MS = 300_000;

/** What an answer of 429 or 503 asks for (RFC 9110 §10.2.3, in seconds), bounded; 0 without it. */
export function retryAfterMs(error: unknown): number {
  const seconds = error instanceof BilletError ? error.details.retryAfterSeconds : undefined;
  return typeof seconds === 'number' ? Math.min(seconds * 1000, RETRY_AFTER_MAX_MS) : 0;
}
