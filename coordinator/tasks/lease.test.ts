import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InstanceId, TaskId } from '#shared/schema/ids.ts';
import type { TaskSpec } from '#shared/schema/task.ts';
import { cancel, finish, isOpen, leaseMs, renew, seenBoot, settle, take } from './lease.ts';
import type { TaskRecord } from './records.ts';

const LOGS: TaskSpec = { kind: 'collect-logs', lines: 10 };
const REBOOT: TaskSpec = { kind: 'reboot', reason: '' };
const [BOOT_A, BOOT_B] = [
  '11111111-1111-4111-8111-111111111111',
  '22222222-2222-4222-8222-222222222222',
];

const pending = (spec: TaskSpec, attemptsMax = 3): TaskRecord => ({
  id: TaskId.parse('t-0000000000000001'),
  instance: InstanceId.parse('i-0000000000000001'),
  spec,
  state: 'pending',
  epoch: 0,
  attemptsMax,
  createdAt: 0,
  createdBy: 'operator:test',
  leaseExpiresAt: null,
  bootId: null,
  finishedAt: null,
  result: null,
});

type Move =
  | { do: 'wait'; ms: number }
  | { do: 'take' | 'settle' | 'cancel' }
  | { do: 'renew' | 'succeed' | 'fail'; epoch: number }
  | { do: 'boot'; id: string };

const epoch = fc.integer({ min: 1, max: 6 });
const move: fc.Arbitrary<Move> = fc.oneof(
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 700_000 }) }),
  fc.record({ do: fc.constantFrom('take' as const, 'settle' as const, 'cancel' as const) }),
  fc.record({ do: fc.constantFrom('renew' as const, 'succeed' as const, 'fail' as const), epoch }),
  fc.record({ do: fc.constant('boot' as const), id: fc.constantFrom(BOOT_A, BOOT_B) }),
);

function apply(task: TaskRecord, one: Move, now: number): TaskRecord {
  switch (one.do) {
    case 'take':
      return take(task, now, BOOT_A) ?? task;
    case 'settle':
      return settle(task, now);
    case 'cancel':
      return cancel(task, now);
    case 'renew':
      return renew(task, one.epoch, now);
    case 'succeed':
      return finish(task, one.epoch, { outcome: 'succeeded' }, now);
    case 'fail':
      return finish(task, one.epoch, { outcome: 'failed' }, now);
    case 'boot':
      return seenBoot(task, one.id, now);
    case 'wait':
      return task;
  }
}

test('whatever comes in whatever order: epochs grow, ends stay, and a reboot is leased once', async () => {
  await fc.assert(
    fc.property(
      fc.constantFrom(LOGS, REBOOT),
      fc.integer({ min: 1, max: 4 }),
      fc.array(move, { maxLength: 40 }),
      (spec, attemptsMax, moves) => {
        let task = pending(spec, attemptsMax);
        let now = 0;
        for (const one of moves) {
          if (one.do === 'wait') now += one.ms;
          const before = task;
          try {
            task = apply(task, one, now);
          } catch (error) {
            assert.ok(['LEASE_LOST', 'CONFLICT'].includes((error as { code: string }).code));
          }
          assert.ok(task.epoch === before.epoch || task.epoch === before.epoch + 1);
          assert.ok(task.epoch <= (spec.kind === 'reboot' ? 1 : attemptsMax));
          if (!isOpen(before)) assert.deepEqual(task, before, 'an end is an end');
          if (task.state === 'succeeded' && before.state === 'leased')
            assert.ok(spec.kind === 'reboot' ? one.do === 'boot' : one.do === 'succeed');
          assert.equal(task.leaseExpiresAt !== null, task.state === 'leased');
        }
        // Nothing is stuck: time alone ends what was leased for the last time.
        if (task.state === 'leased' && task.epoch >= attemptsMax)
          assert.equal(settle(task, now + leaseMs(spec) + 1).state, 'failed');
      },
    ),
  );
});

test('a lease keeps others away until it runs out, and a late holder is refused', () => {
  const first = take(pending(LOGS), 1_000, null);
  assert.ok(first?.epoch === 1);
  assert.equal(take(first, 60_999, null), null);
  const second = take(first, 61_000, null);
  assert.ok(second?.epoch === 2);
  assert.throws(() => finish(second, 1, { outcome: 'succeeded' }, 61_001), { code: 'LEASE_LOST' });
  assert.throws(() => renew(second, 1, 61_001), { code: 'LEASE_LOST' });
  assert.equal(renew(second, 2, 70_000).leaseExpiresAt, 130_000);
});

test('after its last attempt a task fails with the reason', () => {
  const last = take(pending(LOGS, 1), 0, null);
  assert.ok(last);
  const failed = settle(last, 60_000);
  assert.deepEqual([failed.state, failed.result?.code], ['failed', 'TASK_FAILED']);
  assert.throws(() => finish(failed, 1, { outcome: 'succeeded' }, 60_001), { code: 'LEASE_LOST' });
});
