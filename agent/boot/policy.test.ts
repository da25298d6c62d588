import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CODES } from '#shared/error-codes.ts';
import type { Code } from '#shared/errors.ts';
import { Desired } from '#shared/schema/desired.ts';
import { EMPTY_RECORD } from './boot-record.ts';
import {
  chooseGeneration,
  inHistory,
  rejectsAtOnce,
  TRIAL_BOOTS_MAX,
  withRejected,
  withTrial,
  yieldsToGood,
} from './policy.ts';

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
const goodRecord = (number: number) => ({
  generation: number,
  envelope: {
    payloadType: 'application/vnd.billet.desired.v1+json' as const,
    payload: '',
    signatures: [],
  },
});
const [good, wanted] = [generation(4), generation(5)];
const fresh = {
  desired: wanted,
  rejected: [],
  good,
  record: EMPTY_RECORD,
  yields: false,
  slot: null,
};

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
  for (const yields of [false, true]) {
    const choice = chooseGeneration({
      ...fresh,
      rejected: [5],
      good: null,
      record,
      yields,
      slot: null,
    });
    assert.deepEqual([choice.desired.generation, choice.rejects], [5, null]);
  }
});

test('one that fails for reasons outside of it yields to the good one now and then, and is not rejected', () => {
  const turns = Array.from({ length: 10 }, (_, failures) => yieldsToGood(failures));
  const chosen = turns.map(
    (yields) => chooseGeneration({ ...fresh, yields, slot: null }).desired.generation,
  );
  assert.deepEqual(chosen, [5, 5, 5, 5, 4, 5, 5, 5, 5, 4]);
  assert.equal(chooseGeneration({ ...fresh, yields: true, slot: null }).rejects, null);
  // The boot with the good one takes no boot off the trial of the other.
  const onTrial = withTrial({ ...EMPTY_RECORD, good: goodRecord(4) }, 5);
  assert.deepEqual(withTrial(onTrial, 4).trial, { generation: 5, boots: 1 });
});

test('nothing that another attempt may mend rejects a generation', () => {
  const codes = Object.keys(CODES) as Code[];
  for (const code of codes.filter((each) => CODES[each].retry))
    assert.ok(!rejectsAtOnce(code), code);
  for (const code of ['DIGEST_MISMATCH', 'NOT_FOUND', 'REGISTRY_DENIED', 'VERITY_FAILED'] as const)
    assert.ok(!rejectsAtOnce(code), code);
  for (const code of ['SIGNATURE_INVALID', 'MERGE_CONFLICT', 'VERSION_REFUSED'] as const)
    assert.ok(rejectsAtOnce(code), code);
});

test('a generation that is good is never on trial, however often it boots', () => {
  const record = { ...EMPTY_RECORD, good: goodRecord(5) };
  assert.equal(withTrial(withTrial(withTrial(record, 5), 5), 5).trial, null);
  assert.equal(chooseGeneration({ ...fresh, record }).why, 'desired');
});

test('another history forgets the numbers, and keeps the floors', () => {
  const record = { ...withTrial(EMPTY_RECORD, 5), history: 'h', floors: { base: 7 } };
  assert.equal(inHistory(record, 'h'), record);
  const other = inHistory(record, 'other');
  assert.deepEqual([other.trial, other.floors], [null, { base: 7 }]);
});
