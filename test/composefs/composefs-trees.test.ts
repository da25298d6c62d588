// A small random tree through the kernel and back; `composefs-trees.peer.ts` has the large ones, and
// the other tools.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openXattrs } from '#shared/artifact/composefs/drivers/xattrs.ts';
import { composeImage } from '#shared/artifact/composefs/image.ts';
import { randomTree } from '#shared/artifact/composefs/random-tree-testing.ts';
import { linkTo, treeOf } from '#shared/artifact/composefs/tree-testing.ts';
import { workshop } from './composefs-mount-fixture.ts';
import { assertSameView, viewOfDirectory, viewOfTree } from './composefs-view-fixture.ts';

const skip = process.getuid?.() !== 0;

test('seed 6: a mount shows 700 random paths as they went in', { skip }, async (t) => {
  const made = randomTree(6, 700);
  const root = await workshop(t).mountImage(composeImage(made.tree), made.objects);
  assertSameView(viewOfDirectory(root), viewOfTree(made, 'composefs'), 'seed 6');
});

test('an xattr that is listed and that Linux does not give is none', { skip }, async (t) => {
  const value = Buffer.from('value');
  const xattrs = new Map([
    ['user.of-a-symlink', value],
    ['trusted.k', value],
  ]);
  const image = composeImage(treeOf({ link: linkTo('target', { xattrs }) }));
  const root = await workshop(t).mountImage(image, new Map());
  const read = openXattrs()(Buffer.from(join(root, 'link')));
  assert.deepEqual([...read], [['trusted.k', value]]);
});
