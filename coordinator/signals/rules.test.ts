import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { InstanceState } from '#shared/schema/records.ts';
import { type Sight, type Speaker, silentSight, silentTogether } from './rules.ts';

const LIMITS = { silentAfterMs: 300_000, driftAfterMs: 120_000 };
const NOW = Date.UTC(2026, 10, 21);
const STEADY = { now: NOW, steadyMs: LIMITS.silentAfterMs };

const speaker = (fields: Partial<Speaker> = {}): Speaker => ({
  id: InstanceId.parse('i-0123456789abcdef'),
  node: NodeName.parse('web-1'),
  state: 'running',
  stateSince: NOW - 3_600_000,
  lastSeenAt: NOW - 10_000,
  isQuiet: false,
  needsToken: false,
  bootOrdered: false,
  group: 'pool edge',
  ...fields,
});

test('silence is found only of who should speak, after the whole time, by a steady clock', async () => {
  const states = fc.constantFrom(...InstanceState.options);
  const ms = fc.integer({ min: -400_000, max: 900_000 });
  await fc.assert(
    fc.property(
      states,
      ms,
      ms,
      fc.boolean(),
      fc.nat(600_000),
      (state, ago, since, isQuiet, steadyMs) => {
        const one = speaker({ state, lastSeenAt: NOW - ago, stateSince: NOW - since, isQuiet });
        const { is } = silentSight(one, { now: NOW, steadyMs }, LIMITS);
        const isSilent = Math.min(ago, since) >= LIMITS.silentAfterMs;
        const speaks = state === 'running' || state === 'draining';
        const isSteady = steadyMs >= LIMITS.silentAfterMs;
        const wanted = speaks && isSilent && !isQuiet ? (isSteady ? 'found' : 'unknown') : 'clear';
        assert.equal(is, wanted);
      },
    ),
  );
});

const findingOf = (sight: Sight) => {
  assert.equal(sight.is, 'found');
  return sight.is === 'found' ? sight.finding : assert.fail();
};

test('a machine that lost its key is offered a token, and no other is', () => {
  const silent = { lastSeenAt: NOW - 400_000 };
  const found = (fields: Partial<Speaker>) =>
    findingOf(silentSight(speaker({ ...silent, ...fields }), STEADY, LIMITS));
  assert.deepEqual(found({}).steps, []);
  assert.deepEqual(found({ needsToken: true }).steps, ['boot']);
  assert.deepEqual(found({ needsToken: true, bootOrdered: true }).steps, []);
});

test('many of a group that are silent at once are the trouble of the group, one is its own', () => {
  const silent = { lastSeenAt: NOW - 400_000 };
  const fleet = (lost: number) =>
    Array.from({ length: 20 }, (_, at) => speaker(at < lost ? silent : {}));
  const causeOf = (lost: number) => {
    const together = silentTogether(fleet(lost), STEADY, LIMITS).get('pool edge');
    return findingOf(silentSight(speaker(silent), STEADY, LIMITS, together)).cause;
  };
  assert.match(causeOf(1), /^its machine/);
  assert.match(causeOf(2), /^its machine/);
  assert.match(causeOf(3), /^3 of 20 in pool edge are silent/);
});
