import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseCommentedJson } from './commented-json.ts';

test('comments and a last comma are left out, and texts stay as they are', () => {
  const text = `// what this is
{
  "a": "http://x/* no comment */", // one
  /* "b": 1,
  */
  "c": ["\\"//", 2, /* in between */ ],
}`;
  assert.deepEqual(parseCommentedJson(text), {
    a: 'http://x/* no comment */',
    c: ['"//', 2],
  });
});

test('what is no JSON besides is refused, at the line where it stands', () => {
  for (const text of ['', '// only a comment', '{"a": 1 /* open', '[1,,]', '{a: 1}', '[,]'])
    assert.throws(() => parseCommentedJson(text), SyntaxError, text);
  assert.throws(() => parseCommentedJson('/*\n\n*/ {\n  // x\n  oops\n}'), /line 5|position 18/);
});

test('any JSON is read as it is', async () => {
  await fc.assert(
    fc.property(fc.json(), (text) => {
      assert.deepEqual(parseCommentedJson(text), JSON.parse(text));
      assert.deepEqual(parseCommentedJson(`/* , } */${text}// "`), JSON.parse(text));
    }),
  );
});
