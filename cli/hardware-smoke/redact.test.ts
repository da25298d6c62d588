import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { redactor } from './redact.ts';

function redacted(chunks: readonly string[]): string {
  const { push, end } = redactor();
  return [...chunks.map((chunk) => push(Buffer.from(chunk))), end()].join('');
}

test('a token on a kernel command line, in JSON or in a header does not stay', () => {
  assert.equal(redacted(['a billet.token=s3cret quiet']), 'a billet.token=REDACTED quiet');
  assert.equal(redacted(['{"token":"s3cret","a":1}']), '{"token":"REDACTED","a":1}');
  assert.equal(
    redacted(['Authorization: Bearer s3cret\r\n']),
    'Authorization: Bearer REDACTED\r\n',
  );
});

test('escape sequences, and bytes that are no text, stay as they came', () => {
  const { push, end } = redactor();
  const bytes = Buffer.from([27, 91, 50, 74, 0xff, 0xc3, 0x28, 0, 13, 10]);
  assert.deepEqual(Buffer.concat([push(bytes), end()]), bytes);
});

test('property: wherever it is cut, the same comes out, and never the secret', async () => {
  const word = fc.constantFrom(
    'billet.token=',
    's3cret-',
    '"token":"',
    ' ',
    'x',
    '\n',
    '"',
    'bill',
  );
  await fc.assert(
    fc.property(fc.array(word), fc.array(fc.nat(80)), (words, cuts) => {
      const text = words.join('');
      const ends = [...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length];
      const pieces = ends.map((end, i) => text.slice(ends[i - 1] ?? 0, end));
      assert.equal(redacted(pieces), redacted([text]));
      assert.doesNotMatch(redacted([text]), /(billet\.token=|"token":")s3cret/);
    }),
  );
});
