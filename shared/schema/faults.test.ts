import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { describeFaults } from './faults.ts';

const Disk = z.strictObject({ serial: z.string(), sizes: z.array(z.int()).optional() });
const faultsOf = (value: unknown) => {
  const { error } = Disk.safeParse(value);
  return error ? describeFaults(error) : null;
};

test('each fault is in the one line, with its place; unknown fields have their names', () => {
  assert.equal(faultsOf({ serial: 'x' }), null);
  assert.equal(faultsOf(undefined), 'expected object, received undefined');
  assert.equal(faultsOf({ serial: 'x', diks: 1 }), 'unknown field diks');
  assert.equal(
    faultsOf({ serial: 1, sizes: [1, 'b'], a: 1, b: 1 }),
    'serial: expected string, received number; sizes.1: expected number, received string; ' +
      'unknown fields a, b',
  );
  assert.equal(faultsOf({ serial: 'x', ['long'.repeat(1000)]: 1 })?.length, 1000);
  const many = faultsOf({ serial: 'x', sizes: Array.from({ length: 12 }, () => 'b') });
  assert.match(many ?? '', /sizes\.9: [^;]*; and 2 more$/);
});
