import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Digest, sha256 } from '#shared/digest.ts';
import { unreferenced, unreferencedObjects } from './gc.ts';

const digest = fc.constantFrom(...'abcdefgh').map((name) => sha256(name));
const holdings = fc
  .tuple(
    fc.uniqueArray(fc.tuple(digest, digest), { selector: ([manifest]) => manifest }),
    fc.uniqueArray(digest),
  )
  .map(([modules, images]) => ({ modules: new Map(modules), images }));
const roots = fc.record({ modules: fc.array(digest), images: fc.array(digest) });

test('nothing that a root leads to goes, and everything else does', () =>
  fc.assert(
    fc.property(holdings, roots, (held, kept) => {
      const gone = unreferenced(held, kept);
      const stays = (image: Digest) =>
        kept.images.includes(image) ||
        [...held.modules].some(
          ([manifest, own]) => own === image && kept.modules.includes(manifest),
        );
      assert.deepEqual(
        gone.modules,
        [...held.modules.keys()].filter((manifest) => !kept.modules.includes(manifest)),
      );
      assert.deepEqual(
        gone.images,
        held.images.filter((image) => !stays(image)),
      );
    }),
  ));

test('a second collection with the same roots finds nothing', () =>
  fc.assert(
    fc.property(holdings, roots, (held, kept) => {
      const gone = unreferenced(held, kept);
      const left = {
        modules: new Map([...held.modules].filter(([each]) => !gone.modules.includes(each))),
        images: held.images.filter((each) => !gone.images.includes(each)),
      };
      assert.deepEqual(unreferenced(left, kept), { modules: [], images: [] });
    }),
  ));

test('objects stay as long as one kept image has them', () => {
  const images = [new Set(['a', 'b']), new Set(['b', 'c'])];
  assert.deepEqual(unreferencedObjects(['a', 'b', 'c', 'd'], images), ['d']);
  assert.deepEqual(unreferencedObjects(['a', 'b', 'c', 'd'], images.slice(1)), ['a', 'd']);
  assert.deepEqual(unreferencedObjects(['a'], []), ['a']);
});
