import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseGeneration, type Evidence, judge, rankFallbacks } from './verdict.ts';

const evidence = (fields: Partial<Evidence> = {}): Evidence => ({
  generation: 5,
  booted: true,
  probes: 'passed',
  reason: '',
  confirmed: null,
  good: false,
  fallback: true,
  ...fields,
});
const verdict = (fields: Partial<Evidence>) => judge(evidence(fields))?.verdict ?? null;

test('good is booted, probed and confirmed; without a confirmation it is unconfirmed', () => {
  assert.equal(verdict({ confirmed: 5 }), 'good');
  assert.equal(verdict({ confirmed: 6 }), 'good');
  assert.equal(verdict({ confirmed: 4 }), 'unconfirmed');
  assert.equal(verdict({ confirmed: null }), 'unconfirmed');
});

test('what is only staged has no verdict, whatever the coordinator confirms', () => {
  assert.equal(verdict({ booted: false, confirmed: 5 }), null);
});

test('failed probes reject a generation only if there is another to go back to', () => {
  assert.equal(verdict({ probes: 'failed' }), 'rejected');
  assert.equal(verdict({ probes: 'failed', fallback: false }), null);
});

test('a good generation stays good: its later faults are mended, not fled from', () => {
  assert.equal(verdict({ good: true, probes: 'failed' }), 'good');
});

test('the wanted generation runs, else the first fallback that was not rejected, else the wanted one', () => {
  const [g1, g2, g3] = [{ generation: 1 }, { generation: 2 }, { generation: 3 }];
  const choose = (rejected: number[]) =>
    chooseGeneration({ desired: g3, rejected, fallbacks: [g2, g1] }).generation;
  assert.deepEqual([[], [3], [3, 2], [1, 2, 3]].map(choose), [3, 2, 1, 3]);
});

test('the newer of two good generations is the better one, whoever remembers it', () => {
  const [g1, g2, g3] = [{ generation: 1 }, { generation: 2 }, { generation: 3 }];
  const rank = (here: typeof g1 | null, coordinator: typeof g1 | null, passed: typeof g1 | null) =>
    rankFallbacks({ here, coordinator, passed }).map(({ generation }) => generation);
  assert.deepEqual(rank(g2, g3, g3), [3, 2, 3]);
  assert.deepEqual(rank(g2, g1, g3), [2, 1, 3]);
  assert.deepEqual(rank(null, null, g3), [3]);
  assert.deepEqual(rank(null, null, null), []);
});
