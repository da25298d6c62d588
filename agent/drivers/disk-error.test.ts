import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BilletError } from '#shared/errors.ts';
import { diskError } from './disk-error.ts';

const failed = (errno: number, code: string) =>
  Object.assign(new Error(`${code}: write`), { errno: -errno, code, syscall: 'write' });

test('no space and no quota are STORE_FULL, also under the name that Node gives the second', () => {
  const codeOf = (error: Error) => (diskError(error, 'write') as BilletError).code;
  assert.equal(codeOf(failed(28, 'ENOSPC')), 'STORE_FULL');
  assert.equal(codeOf(failed(122, 'Unknown system error -122')), 'STORE_FULL');
  assert.equal(codeOf(failed(5, 'EIO')), 'STORE_FAILED');
  assert.equal(codeOf(failed(117, 'Unknown system error -117')), 'STORE_FAILED');
  const defect = new RangeError('no thread 3');
  assert.equal(diskError(defect, 'write'), defect);
});
