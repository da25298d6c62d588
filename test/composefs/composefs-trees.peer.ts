// Random trees of every kind of inode, as the kernel, GNU tar and erofs-utils see them, against what
// Billet makes of them. Sealing and `verity=require` need a kernel with fs-verity: the suites in
// QEMU have one. A failure names its seed: `randomTree(SEED, …)` makes the same tree again.

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readDirectory } from '#shared/artifact/composefs/directory.ts';
import { openXattrs } from '#shared/artifact/composefs/drivers/xattrs.ts';
import { formatDump } from '#shared/artifact/composefs/dump.ts';
import { composeImage } from '#shared/artifact/composefs/image.ts';
import { treeOfLayers } from '#shared/artifact/composefs/layer-apply.ts';
import { digestSink } from '#shared/artifact/composefs/object-sink.ts';
import { randomTree } from '#shared/artifact/composefs/random-tree-testing.ts';
import { layerOf } from '#shared/artifact/composefs/tar-testing.ts';
import { tarOfTree } from '#shared/artifact/composefs/tree-tar-testing.ts';
import { workshop } from './composefs-mount-fixture.ts';
import {
  assertSameView,
  type Seen,
  type View,
  viewOfDirectory,
  viewOfTree,
  withoutHardLinks,
} from './composefs-view-fixture.ts';

const PATHS = 10_000;
const NOTHING = hash('sha256', '');
const skip = process.getuid?.() !== 0;

for (const seed of [1, 2])
  test(`seed ${seed}: a mount shows ${PATHS} random paths as they went in`, { skip }, async (t) => {
    const made = randomTree(seed, PATHS);
    const shop = workshop(t);
    const root = await shop.mountImage(composeImage(made.tree), made.objects);
    assertSameView(viewOfDirectory(root), viewOfTree(made, 'composefs'), `seed ${seed}`);
  });

test(`seed 4: GNU tar, mkfs.erofs and Billet agree on ${PATHS} random paths`, {
  skip,
}, async (t) => {
  const made = randomTree(4, PATHS, 'disk');
  const shop = workshop(t);
  const tar = tarOfTree(made);
  const read = treeOfLayers([await layerOf(tar)]);
  assert.equal(formatDump(read).compare(formatDump(made.tree)), 0, 'the layer reads as the tree');

  const [disk, archive] = [join(shop.folder, 'disk'), join(shop.folder, 'layer.tar')];
  mkdirSync(disk);
  writeFileSync(archive, tar);
  const attributes = ['--same-permissions', '--numeric-owner', '--xattrs', '--xattrs-include=*'];
  shop.run('tar', '-x', '--warning=no-timestamp', ...attributes, '-f', archive, '-C', disk);
  const expected = viewOfTree(made, 'plain');
  assertSameView(viewOfDirectory(disk), expected, 'seed 4, as GNU tar lays it down');

  const image = join(shop.folder, 'mkfs.erofs');
  shop.run('mkfs.erofs', '--quiet', image, disk);
  assertSameView(viewOfDirectory(shop.mountErofs(image)), expected, 'seed 4, as mkfs.erofs has it');

  // Hard links are read from a directory as files of their own: the content is one object.
  const again = await readDirectory(disk, digestSink(), openXattrs());
  const root = await shop.mountImage(composeImage(again), made.objects);
  const apart = viewOfTree(withoutHardLinks(made), 'composefs');
  assertSameView(viewOfDirectory(root), apart, 'seed 4, from a directory');
});

test('fsck.erofs extracts from our images what went in', { skip }, (t) => {
  const shop = workshop(t);
  const made = randomTree(4, PATHS, 'disk');
  const [image, extracted] = [join(shop.folder, 'image'), join(shop.folder, 'extracted')];
  writeFileSync(image, composeImage(made.tree).bytes);
  shop.run('fsck.erofs', `--extract=${extracted}`, '--preserve', image);
  const actual = viewOfDirectory(extracted);
  const expected = viewOfTree(made, 'composefs');
  // The names of the object store are whiteouts in the image: the overlay hides them.
  for (const [path, { mode }] of actual)
    if (!expected.has(path) && /^\/[0-9a-f]{2}$/.test(path) && mode === '20644')
      actual.delete(path);
  assertSameView(whatFsckExtracts(actual), whatFsckExtracts(expected), 'seed 4');
});

/**
 * Version 1.5 extracts no xattrs and no hard links, loses the set-id bits when it changes the owner,
 * and content over 64 bytes is not in the image.
 */
function whatFsckExtracts(view: View): View {
  const bare = ({ mode, owner, mtime, rdev, size, data }: Seen): Seen => {
    const kept = (Number.parseInt(mode, 8) & ~0o6000).toString(8);
    const inline = size > 64 ? { size: 0, data: NOTHING } : { size, data };
    return { mode: kept, owner, mtime, rdev, ...inline, nlink: 0, firstName: '', xattrs: {} };
  };
  return new Map([...view].map(([path, seen]) => [path, bare(seen)]));
}

test('the comparison sees a change of any attribute', () => {
  const made = randomTree(5, 50);
  const [path, seen] = [...viewOfTree(made, 'composefs')].find(([, { size }]) => size > 0) ?? [];
  assert.ok(path !== undefined && seen !== undefined);
  const changes: Partial<Seen>[] = [
    { mode: '100600' },
    { owner: '1:2' },
    { mtime: seen.mtime + 1n },
    { rdev: 1 },
    { nlink: 9 },
    { firstName: '/x' },
    { size: 1 },
    { data: 'x' },
    { xattrs: { ...seen.xattrs, 'user.new': '' } },
  ];
  assert.equal(changes.length, Object.keys(seen).length);
  for (const change of changes)
    assert.throws(
      () => assertSameView(new Map([[path, { ...seen, ...change }]]), new Map([[path, seen]]), ''),
      /should be/,
      JSON.stringify(Object.keys(change)),
    );
  assert.throws(() => assertSameView(new Map(), new Map([[path, seen]]), ''), /is missing/);
  assert.throws(() => assertSameView(new Map([[path, seen]]), new Map(), ''), /should not be/);
});
