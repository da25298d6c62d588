import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonOf } from './json.ts';

test('what is JSON is read, and what is not is undefined', () => {
  assert.deepEqual(jsonOf('{"a": [null]}'), { a: [null] });
  for (const text of ['', '{', 'undefined', '\u0000']) assert.equal(jsonOf(text), undefined);
});
