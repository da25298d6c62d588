import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BilletError } from '#shared/errors.ts';
import { backoffMs, retryAfterMs } from './backoff.ts';

const range = fc
  .record({
    baseMs: fc.integer({ min: 1, max: 60_000 }),
    factor: fc.integer({ min: 1, max: 1000 }),
  })
  .map(({ baseMs, factor }) => ({ baseMs, capMs: baseMs * factor }));
const attempt = fc.nat({ max: 1_000_000 });
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test('a wait is never negative, never over the cap, and never over what its attempt allows', () =>
  fc.assert(
    fc.property(attempt, random, range, (nth, chance, { baseMs, capMs }) => {
      const waitMs = backoffMs(nth, chance, { baseMs, capMs });
      assert.ok(Number.isSafeInteger(waitMs));
      assert.ok(waitMs >= 0 && waitMs < capMs);
      assert.ok(waitMs <= baseMs * 2 ** Math.min(nth, 40));
    }),
  ));

test('a fleet spreads over the whole of it: full jitter', () =>
  fc.assert(
    fc.property(attempt, range, (nth, { baseMs, capMs }) => {
      const whole = Math.min(capMs, baseMs * 2 ** Math.min(nth, 30));
      const waits = Array.from({ length: 100 }, (_, agent) =>
        backoffMs(nth, agent / 100, { baseMs, capMs }),
      );
      assert.equal(waits[0], 0);
      for (const [agent, waitMs] of waits.entries())
        assert.ok(Math.abs(waitMs - (whole * agent) / 100) <= 1);
    }),
  ));

test('Retry-After is kept to, within bounds; anything else is nothing', () => {
  const error = (retryAfterSeconds: unknown) =>
    new BilletError('TOO_MANY_REQUESTS', 'slower', {
      hint: 'wait',
      details: { retryAfterSeconds },
    });
  assert.equal(retryAfterMs(error(7)), 7_000);
  assert.equal(retryAfterMs(error(999_999)), 300_000);
  for (const other of [error('7'), error(undefined), new Error('x'), null])
    assert.equal(retryAfterMs(other), 0);
});
