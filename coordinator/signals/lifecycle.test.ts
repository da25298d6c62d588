import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BilletError } from '#shared/errors.ts';
import { InstanceId, NodeName } from '#shared/schema/ids.ts';
import type { RemedyStep } from '#shared/schema/signal.ts';
import { SignalPolicy } from '#shared/schema/signal.ts';
import { acknowledge, approve, dismiss, settle, type Turn } from './lifecycle.ts';
import { dueStep, remedyState } from './policy.ts';
import { SignalRecord } from './records.ts';
import type { Sight } from './rules.ts';

const START = Date.UTC(2026, 10, 21);
const MINUTE_MS = 60_000;
const ABOUT = {
  instance: InstanceId.parse('i-0123456789abcdef'),
  topic: 'drift',
  node: NodeName.parse('web-1'),
  policy: 'notify_and_proceed',
} as const;
const LADDERS: readonly (readonly RemedyStep[])[] = [
  [],
  ['reconcile', 'restart', 'restart'],
  ['reconcile', 'reconcile', 'reconcile'],
  ['reboot'],
];

const found = (fingerprint: string, steps: readonly RemedyStep[] = []): Sight => ({
  is: 'found',
  finding: { fingerprint, text: 'it differs', cause: 'a cause', hint: 'do', drift: null, steps },
});
const CLEAR: Sight = { is: 'clear', why: 'it is well' };

const ANSWERS = { acknowledge, approve, dismiss } as const;
const happening = fc.oneof(
  fc.record({
    sight: fc.oneof(
      fc.constant(CLEAR),
      fc.constant<Sight>({ is: 'unknown' }),
      fc
        .tuple(fc.constantFrom('a', 'b'), fc.constantFrom(...LADDERS))
        .map(([print, steps]) => found(print, steps)),
    ),
    policy: fc.constantFrom(...SignalPolicy.options),
  }),
  fc.record({ answer: fc.constantFrom('acknowledge', 'approve', 'dismiss') }),
  fc.record({ passMs: fc.integer({ min: -30 * MINUTE_MS, max: 120 * MINUTE_MS }) }),
  fc.record({ order: fc.boolean() }),
);

/** A signal over time: what happens to it, and how many orders came without a person's word. */
function live(happenings: readonly (typeof happening extends fc.Arbitrary<infer T> ? T : never)[]) {
  let record: SignalRecord | null = null;
  let now = START;
  const alone = new Map<number, number>();
  const take = (turn: Turn | null) => {
    if (turn === null) return;
    record = SignalRecord.parse(turn.next);
  };
  for (const one of happenings) {
    const before: SignalRecord | null = record;
    if ('passMs' in one) now = Math.max(START, now + one.passMs);
    else if ('sight' in one) {
      const about = { ...ABOUT, policy: one.policy };
      take(settle(before, one.sight, about, now));
      assert.equal(settle(record, one.sight, about, now), null, 'the same sight changes nothing');
    } else if (before === null) continue;
    else if ('answer' in one)
      try {
        const answer = { actor: 'operator:ann', opening: null, now };
        take(ANSWERS[one.answer as keyof typeof ANSWERS](before, answer));
      } catch (error) {
        assert.ok(error instanceof BilletError && error.code === 'CONFLICT' && error.hint !== '');
      }
    else {
      const step = dueStep(before, now);
      if (step === null) continue;
      const { remedy, opening, state, policy } = before as SignalRecord;
      assert.notEqual(state, 'resolved');
      if (remedy.approvedBy === null) {
        assert.equal(policy, 'notify_and_proceed');
        assert.equal(state, 'open');
        assert.notEqual(step, 'reboot', 'no policy reboots a node');
        alone.set(opening, (alone.get(opening) ?? 0) + 1);
      }
      record = {
        ...(before as SignalRecord),
        remedy: { ...remedy, taken: remedy.taken + 1, lastAt: now },
      };
    }
  }
  return { record: record as SignalRecord | null, alone };
}

test('no order of events makes a loop: each opening orders three times by itself at most', async () => {
  await fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
      const { alone, record } = live(happenings);
      for (const count of alone.values()) assert.ok(count <= 3, `${count} orders`);
      // One that opens anew within the hour goes on where it was.
      if (record?.state === 'resolved') assert.equal(remedyState(record), 'none');
    }),
    { numRuns: 500 },
  );
});

const opened = (policy: SignalPolicy, steps: readonly RemedyStep[] = ['reconcile', 'restart']) => {
  const turn = settle(null, found('a', steps), { ...ABOUT, policy }, START);
  return turn?.next ?? assert.fail();
};

test('policies: nothing, at once, or when a person approves', () => {
  const at = (policy: SignalPolicy) => [
    remedyState(opened(policy)),
    dueStep(opened(policy), START),
  ];
  assert.deepEqual(at('notify'), ['none', null]);
  assert.deepEqual(at('notify_and_proceed'), ['due', 'reconcile']);
  assert.deepEqual(at('ask'), ['asking', null]);
  const answer = { actor: 'operator:ann', opening: 1, now: START };
  for (const policy of SignalPolicy.options)
    assert.equal(dueStep(approve(opened(policy), answer).next, START), 'reconcile');
  const reboot = opened('notify_and_proceed', ['reboot']);
  assert.equal(remedyState(reboot), 'asking');
  assert.equal(dueStep(approve(reboot, answer).next, START), 'reboot');
});

test('who looks at it stops what goes by itself, until he approves', () => {
  const answer = { actor: 'operator:ann', opening: null, now: START };
  const seen = acknowledge(opened('notify_and_proceed'), answer)?.next ?? assert.fail();
  assert.equal(dueStep(seen, START + 60 * MINUTE_MS), null);
  assert.equal(seen.by, 'operator:ann');
  assert.equal(acknowledge(seen, answer), null, 'twice is once');
  assert.equal(dueStep(approve(seen, answer).next, START), 'reconcile');
});

test('pauses grow, and then a person has to look', () => {
  let signal = opened('notify_and_proceed', ['reconcile', 'restart', 'restart']);
  const waited: number[] = [];
  for (let now = START; now < START + 24 * 60 * MINUTE_MS; now += MINUTE_MS)
    if (dueStep(signal, now) !== null) {
      const { remedy } = signal;
      waited.push((now - START) / MINUTE_MS);
      signal = { ...signal, remedy: { ...remedy, taken: remedy.taken + 1, lastAt: now } };
    }
  assert.deepEqual(waited, [0, 2, 12]);
  assert.equal(remedyState(signal), 'exhausted');
});

test('what is dismissed stays so until it is over, or becomes something else', () => {
  const answer = { actor: 'operator:ann', opening: null, now: START };
  const { next } = dismiss(opened('ask'), answer);
  const about = { ...ABOUT, policy: 'ask' } as const;
  assert.equal(next.state, 'resolved');
  assert.equal(settle(next, found('a'), about, START), null);
  assert.equal(settle(next, found('b'), about, START)?.next.opening, 2);
  const over = settle(next, CLEAR, about, START)?.next ?? assert.fail();
  assert.equal(over.state, 'resolved');
  assert.equal(settle(over, found('a'), about, START)?.next.opening, 2);
});

test('an answer to an opening that is over is refused, and so is approving what has no remedy', () => {
  const again = { ...opened('ask'), opening: 3 };
  const answer = { actor: 'operator:ann', opening: 2, now: START };
  for (const act of Object.values(ANSWERS))
    assert.throws(() => act(again, answer), { code: 'CONFLICT', details: { opening: 3 } });
  assert.throws(() => approve(opened('ask', []), { ...answer, opening: null }), {
    code: 'CONFLICT',
  });
});
