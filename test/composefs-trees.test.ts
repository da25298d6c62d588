// A small random tree through the kernel and back; `composefs-trees.peer.ts` has the large ones, and
// the other tools.

import { test } from 'node:test';
import { composeImage } from '#shared/artifact/composefs/image.ts';
import { randomTree } from '#shared/artifact/composefs/random-tree-testing.ts';
import { workshop } from './composefs-mount-fixture.ts';
import { assertSameView, viewOfDirectory, viewOfTree } from './composefs-view-fixture.ts';

const skip = process.getuid?.() !== 0;

test('seed 6: a mount shows 700 random paths as they went in', { skip }, async (t) => {
  const made = randomTree(6, 700);
  const root = await workshop(t).mountImage(composeImage(made.tree), made.objects);
  assertSameView(viewOfDirectory(root), viewOfTree(made, 'composefs'), 'seed 6');
});
