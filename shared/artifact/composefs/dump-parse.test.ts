import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDump } from './dump-parse.ts';
import { writeErofs } from './erofs.ts';
import { readErofs } from './erofs-read.ts';
import { lookup } from './tree.ts';

const ROOT = '/ 4096 40755 2 0 0 0 0.0 - - -';
const DIGEST = 'ab'.repeat(32);
const parse = (...lines: readonly string[]) => parseDump(Buffer.from(`${lines.join('\n')}\n`));

test('escapes, inline content, xattrs and backing paths are read', () => {
  const tree = parse(
    ROOT,
    '/a\\x20b 3 100644 1 1 2 0 -5.7 - \\n\\\\\\x2d - user.a\\x3db=\\x00=',
    `/ext 100 100644 1 0 0 0 0.0 some/where - ${DIGEST}`,
  );
  const file = lookup(tree, '/a b');
  assert.ok(file?.kind === 'file' && file.content.kind === 'inline');
  assert.equal(file.content.bytes.toString(), '\n\\-');
  assert.deepEqual([file.uid, file.gid, file.mtimeSec, file.mtimeNsec], [1, 2, -5, 7]);
  assert.deepEqual([...file.xattrs], [['user.a=b', Buffer.from('\0=')]]);
  const external = lookup(readErofs(writeErofs(tree)), '/ext');
  assert.deepEqual(external?.kind === 'file' && external.content, {
    kind: 'external',
    sizeBytes: 100,
    digestHex: DIGEST,
    backingPath: 'some/where',
  });
});

test('a hard link may come before its target, and the target stays the home of the inode', () => {
  const linkFirst = parse(
    ROOT,
    '/a 0 40755 2 0 0 0 0.0 - - -',
    '/a/link 0 @100644 2 0 0 0 0.0 /b - -',
    '/b 1 100644 2 0 0 0 0.0 - x -',
  );
  const linkLast = parse(
    ROOT,
    '/a 0 40755 2 0 0 0 0.0 - - -',
    '/a/link 1 100644 2 0 0 0 0.0 - x -',
    '/b 0 @100644 2 0 0 0 0.0 /a/link - -',
  );
  assert.equal(lookup(linkFirst, '/b'), lookup(linkFirst, '/a/link'));
  // The reference puts an inode where its line is, so these images differ.
  assert.notEqual(writeErofs(linkFirst).compare(writeErofs(linkLast)), 0);
});

const bad: readonly (readonly [string, ...string[]])[] = [
  ['no root', '/a 0 100644 1 0 0 0 0.0 - - -'],
  ['a root that is a file', '/ 0 100644 1 0 0 0 0.0 - - -'],
  ['two roots', ROOT, ROOT],
  ['a missing parent', ROOT, '/a/b 0 100644 1 0 0 0 0.0 - - -'],
  [
    'a parent that is a file',
    ROOT,
    '/a 0 100644 1 0 0 0 0.0 - - -',
    '/a/b 0 100644 1 0 0 0 0.0 - - -',
  ],
  ['a path twice', ROOT, '/a 0 100644 1 0 0 0 0.0 - - -', '/a 0 100644 1 0 0 0 0.0 - - -'],
  ['a relative path', ROOT, 'a 0 100644 1 0 0 0 0.0 - - -'],
  ['a path that climbs', ROOT, '/.. 0 100644 1 0 0 0 0.0 - - -'],
  ['too few fields', ROOT, '/a 0 100644 1 0 0 0 0.0 - -'],
  ['a number that is none', ROOT, '/a 0 100644 1 -1 0 0 0.0 - - -'],
  ['a mode without type', ROOT, '/a 0 644 1 0 0 0 0.0 - - -'],
  ['content of another size', ROOT, '/a 4 100644 1 0 0 0 0.0 - abc -'],
  ['external content without digest', ROOT, '/a 400 100644 1 0 0 0 0.0 x - -'],
  ['a symlink without target', ROOT, '/a 0 120777 1 0 0 0 0.0 - - -'],
  ['an unknown escape', ROOT, '/a\\q 0 100644 1 0 0 0 0.0 - - -'],
  ['half an escape', ROOT, '/a\\x4 0 100644 1 0 0 0 0.0 - - -'],
  ['a hard link to nothing', ROOT, '/a 0 @100644 1 0 0 0 0.0 /b - -'],
  [
    'hard links in a circle',
    ROOT,
    '/a 0 @100644 1 0 0 0 0.0 /b - -',
    '/b 0 @100644 1 0 0 0 0.0 /a - -',
  ],
  ['a hard link to a directory', ROOT, '/a 0 @100644 1 0 0 0 0.0 / - -'],
  ['a time without fraction', ROOT, '/a 0 100644 1 0 0 0 5 - - -'],
];

for (const [what, ...lines] of bad)
  test(`a dump with ${what} is refused`, () => {
    assert.throws(() => parse(...lines), { code: 'COMPOSEFS_FORMAT' });
  });
