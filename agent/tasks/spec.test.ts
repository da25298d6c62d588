import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeasedTask } from '#shared/schema/task.ts';
import { specOf } from './spec.ts';

const leased = (spec: object) =>
  LeasedTask.parse({ id: 't-0123456789abcdef', epoch: 1, spec, leaseSeconds: 30 });

test('a task that asks for more than this version does, or for something else, is refused by name', () => {
  assert.deepEqual(specOf(leased({ kind: 'reboot' }), 'reboot'), { kind: 'reboot', reason: '' });
  const refused = (spec: object, why: RegExp) =>
    assert.throws(() => specOf(leased(spec), 'reboot'), { code: 'BODY_INVALID', message: why });
  refused(
    { kind: 'reboot', kexec: true },
    /no reboot that this version reads: unknown field kexec$/,
  );
  refused({ kind: 'uncordon' }, /no reboot that this version reads: its kind is uncordon$/);
});
