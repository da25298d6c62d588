// When certificates are renewed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NODE_LIFETIME_MS, renewAt } from './certificate.ts';

test('a node renews after two thirds of its certificate, with ten days left', () => {
  const [from, to] = [1_000, 1_000 + NODE_LIFETIME_MS];
  assert.equal(to - renewAt(from, to), 10 * 24 * 3_600_000);
});
