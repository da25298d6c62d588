import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { BilletError } from '#shared/errors.ts';
import { formatDump } from './dump.ts';
import { parseDump } from './dump-parse.ts';
import { writeErofs } from './erofs.ts';
import { readErofs } from './erofs-read.ts';
import { anyTree, fileOf, treeOf } from './tree-testing.ts';

const vector = (name: string): Buffer =>
  gunzipSync(readFileSync(new URL(`./testdata/${name}.erofs.gz`, import.meta.url)));

test('any tree survives the way through its image and through its dump', async () => {
  await fc.assert(
    fc.property(anyTree, (tree) => {
      const image = writeErofs(tree);
      const dump = formatDump(tree);
      const back = readErofs(image);
      assert.equal(writeErofs(back).compare(image), 0);
      assert.equal(writeErofs(parseDump(dump)).compare(image), 0);
      assert.equal(formatDump(parseDump(dump)).compare(dump), 0);
    }),
    { numRuns: 60, seed: 1 },
  );
});

test('an image does not depend on the order in which a tree was filled', async () => {
  await fc.assert(
    fc.property(anyTree, (tree) => {
      const children = new Map([...tree.root.children].reverse());
      const turned = { root: { ...tree.root, children } };
      assert.equal(writeErofs(turned).compare(writeErofs(tree)), 0);
    }),
    { numRuns: 20, seed: 2 },
  );
});

/** Reads; anything but a tree or COMPOSEFS_FORMAT fails the test. */
function readOrRefuse(image: Buffer): boolean {
  try {
    readErofs(image);
    return true;
  } catch (error) {
    assert.ok(error instanceof BilletError, `${error instanceof Error ? error.stack : error}`);
    assert.equal(error.code, 'COMPOSEFS_FORMAT');
    return false;
  }
}

test('an image with flipped bytes is read or refused, and nothing else', async () => {
  for (const name of ['mixed', 'xattrs-shared', 'hardlinks', 'wide-dir']) {
    const image = vector(name);
    const flips = fc.array(
      fc.tuple(fc.integer({ min: 0, max: image.length - 1 }), fc.integer({ min: 0, max: 255 })),
      { minLength: 1, maxLength: 6 },
    );
    await fc.assert(
      fc.property(flips, (list) => {
        const broken = Buffer.from(image);
        for (const [offset, value] of list) broken[offset] = value;
        readOrRefuse(broken);
      }),
      { numRuns: 150, seed: 3 },
    );
  }
});

test('every byte of the header, the superblock and the root may be anything', () => {
  const image = vector('xattrs');
  for (let offset = 0; offset < 1500; offset += 1)
    for (const value of [0x00, 0xff]) {
      const broken = Buffer.from(image);
      broken[offset] = value;
      readOrRefuse(broken);
    }
});

test('a cut image and one of another format are refused', () => {
  const image = vector('mixed');
  for (const bytes of [0, 4, 1024, 1151, 1152, 4096, image.length - 4096, image.length - 1])
    assert.equal(readOrRefuse(image.subarray(0, bytes)), false, `${bytes} bytes`);
  const change = (offset: number, value: number): boolean => {
    const other = Buffer.from(image);
    other.writeUInt32LE(value, offset);
    return readOrRefuse(other);
  };
  assert.equal(change(4, 2), false, 'header version');
  assert.equal(change(12, 2), false, 'composefs version');
  assert.equal(change(1024 + 80, 1), false, 'incompatible features');
});

test('directories that lead into a circle, or to one place over and over, are refused', () => {
  const image = writeErofs(
    parseDump(
      Buffer.from(
        '/ 0 40755 2 0 0 0 0.0 - - -\n/d 0 40755 2 0 0 0 0.0 - - -\n/d/e 0 40755 2 0 0 0 0.0 - - -\n',
      ),
    ),
  );
  const tree = readErofs(image);
  assert.equal(formatDump(tree).toString().split('\n').length, 4);
  // The entry "e" of /d gets the number of /d itself.
  const at = image.indexOf(Buffer.from('...e', 'latin1')) - 36;
  image.copy(image, at + 24, at, at + 8);
  assert.equal(readOrRefuse(image), false);
});

test('what the format cannot hold is refused when it is written', () => {
  const refused = (children: Parameters<typeof treeOf>[0]) =>
    assert.throws(() => writeErofs(treeOf(children)), { code: 'COMPOSEFS_FORMAT' });
  refused({ 'a/b': fileOf('') });
  refused({ '..': fileOf('') });
  refused({ ['n'.repeat(256)]: fileOf('') });
  refused({ large: fileOf('x'.repeat(5001)) });
  refused({ x: fileOf('', { xattrs: new Map([['user.k', Buffer.alloc(40_000)]]) }) });
  refused({ x: fileOf('', { xattrs: new Map([['k'.repeat(256), Buffer.alloc(1)]]) }) });
});
