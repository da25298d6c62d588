import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NodeSpec } from '#shared/schema/records.ts';
import {
  assertUsable,
  type Identifier,
  identifierKey,
  identifiersOfFacts,
  identifiersOfSpec,
  isPlaceholder,
} from './rules.ts';

const serial = (value: string): Identifier => ({ kind: 'serial', value });

test('what vendors leave in place of a serial, tag or UUID tells no machine from another', () => {
  for (const text of [
    ...['To Be Filled By O.E.M.', 'To be filled by O.E.M', 'Default string', ' default  STRING '],
    ...['0', '00000000', 'None', 'Not Specified', 'N/A', 'xxxxxxxxxxxx', '....', '', '123456789'],
    ...['System Serial Number', 'No Asset Tag', '7783-7084-3265-9085-8269-3286-77'],
  ])
    assert.ok(isPlaceholder(serial(text)), text);
  for (const value of [
    '00000000-0000-0000-0000-000000000000',
    'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
    '03000200-0400-0500-0006-000700080009',
  ])
    assert.ok(isPlaceholder({ kind: 'uuid', value }), value);
  assert.ok(isPlaceholder({ kind: 'mac', value: '00:00:00:00:00:00' }));
  for (const text of ['CZ3104A7KX', '7XK2-Q', 'none-1', 'Default string 2', '10'])
    assert.ok(!isPlaceholder(serial(text)), text);
});

test('a node is not registered with such an identifier, and the hint says what to do instead', () => {
  const spec = (fields: object) => NodeSpec.parse(fields);
  assertUsable(spec({ serial: 'CZ3104A7KX', assetTag: 'rack-7/3', macs: ['52:54:00:00:00:01'] }));
  for (const fields of [
    { serial: 'Default string' },
    { assetTag: 'None' },
    { dmiUuid: '00000000-0000-0000-0000-000000000000' },
    { macs: ['ff:ff:ff:ff:ff:ff'] },
  ])
    assert.throws(() => assertUsable(spec(fields)), {
      code: 'IDENTIFIER_UNUSABLE',
      hint: /another of its identifiers/,
    });
});

test('spellings of one identifier have one key, and other identifiers have others', async () => {
  assert.equal(identifierKey(serial(' cz3104 A7kx')), identifierKey(serial('CZ3104  A7KX')));
  assert.notEqual(identifierKey(serial('A-1')), identifierKey({ kind: 'asset-tag', value: 'A-1' }));
  assert.notEqual(identifierKey(serial('a_1')), identifierKey(serial('a 1')));
  const text = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 64 });
  await fc.assert(
    fc.property(text, text, (one, two) => {
      const same = identifierKey(serial(one)) === identifierKey(serial(two));
      const plain = (each: string) => each.trim().replace(/\s+/g, ' ').toLowerCase();
      assert.equal(same, plain(one) === plain(two));
      assert.match(identifierKey(serial(one)), /^serial\.[a-z0-9_-]{0,192}$/);
    }),
  );
});

test('of what a machine shows, placeholders and texts that no spec can hold are left out', () => {
  const macs = Array.from({ length: 40 }, (_, at) => `52:54:00:00:00:${at.toString(16)}`);
  const dmi = { serial: 'Default string', uuid: 'not a uuid', assetTag: 'ü-1' };
  const found = identifiersOfFacts({ macs, dmi });
  assert.equal(found.length, 16, 'so many addresses are looked at, and nothing else says anything');
  assert.deepEqual(identifiersOfFacts({ macs: [], dmi: { assetTag: 'a'.repeat(65) } }), []);
  const spec = NodeSpec.parse({ serial: 'S1', assetTag: 'T1', macs: ['52:54:00:00:00:01'] });
  assert.deepEqual(
    identifiersOfSpec(spec).map(({ kind }) => kind),
    ['mac', 'serial', 'asset-tag'],
  );
});
