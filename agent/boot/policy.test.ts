import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Desired } from '#shared/schema/desired.ts';
import { EMPTY_RECORD } from './boot-record.ts';
import { chooseGeneration, inHistory, TRIAL_BOOTS_MAX, withRejected, withTrial } from './policy.ts';

const generation = (number: number) =>
  Desired.parse({
    format: 1,
    history: 'h',
    instance: 'i-0123456789abcdef',
    node: 'web-1',
    generation: number,
    bootImage: null,
    modules: [],
    systemImage: null,
    settings: {},
  });
const [good, wanted] = [generation(4), generation(5)];
const fresh = { desired: wanted, rejected: [], good, record: EMPTY_RECORD };

test('the wanted generation is booted', () => {
  assert.deepEqual(chooseGeneration(fresh), { desired: wanted, why: 'desired', rejects: null });
});

test('one that the coordinator or this machine rejected gives way to the good one', () => {
  const record = withRejected(EMPTY_RECORD, { generation: 5, reason: 'no' });
  for (const candidates of [
    { ...fresh, rejected: [5] },
    { ...fresh, record },
  ]) {
    const choice = chooseGeneration(candidates);
    assert.deepEqual([choice.desired.generation, choice.why, choice.rejects], [4, 'good', null]);
  }
});

test(`after ${TRIAL_BOOTS_MAX} boots that did not turn good it is rejected`, () => {
  let record = EMPTY_RECORD;
  for (let boot = 0; boot < TRIAL_BOOTS_MAX; boot += 1) {
    assert.equal(chooseGeneration({ ...fresh, record }).desired.generation, 5);
    record = withTrial(record, 5);
  }
  const choice = chooseGeneration({ ...fresh, record });
  assert.deepEqual([choice.why, choice.rejects?.generation], ['good', 5]);
});

test('without a good generation the wanted one is tried for ever', () => {
  const record = withTrial(withTrial(withTrial(EMPTY_RECORD, 5), 5), 5);
  const choice = chooseGeneration({ desired: wanted, rejected: [5], good: null, record });
  assert.deepEqual([choice.desired.generation, choice.rejects], [5, null]);
});

test('a generation that is good is never on trial, however often it boots', () => {
  const envelope = {
    payloadType: 'application/vnd.billet.desired.v1+json' as const,
    payload: '',
    signatures: [],
  };
  const record = { ...EMPTY_RECORD, good: { generation: 5, envelope } };
  assert.equal(withTrial(withTrial(withTrial(record, 5), 5), 5).trial, null);
  assert.equal(chooseGeneration({ ...fresh, record }).why, 'desired');
});

test('another history forgets the numbers, and keeps the floors', () => {
  const record = { ...withTrial(EMPTY_RECORD, 5), history: 'h', floors: { base: 7 } };
  assert.equal(inHistory(record, 'h'), record);
  const other = inHistory(record, 'other');
  assert.deepEqual([other.trial, other.floors], [null, { base: 7 }]);
});
