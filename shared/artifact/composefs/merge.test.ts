import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BilletError } from '#shared/errors.ts';
import { composeImage } from './image.ts';
import { MERGE_RULE, type MergeModule, mergeModules } from './merge.ts';
import { lookup, type Tree } from './tree.ts';
import { anyTree, directoryOf, fileOf, linkTo, treeOf } from './tree-testing.ts';

const moduleOf = (name: string, tree: Tree, changes: Partial<MergeModule> = {}): MergeModule => ({
  name,
  priority: 10,
  replaces: [],
  tree,
  ...changes,
});

test('a directory takes the metadata of the higher module and the children of both', () => {
  const low = moduleOf('low', treeOf({ d: directoryOf({ a: fileOf('a') }, { uid: 1 }) }));
  const high = moduleOf('high', treeOf({ d: directoryOf({ b: fileOf('b') }, { uid: 2 }) }), {
    priority: 20,
  });
  const directory = lookup(mergeModules([high, low]), '/d');
  assert.ok(directory?.kind === 'directory');
  assert.equal(directory.uid, 2);
  assert.deepEqual([...directory.children.keys()].sort(), ['a', 'b']);
});

test('entries that differ in time only do not conflict, and the higher one stays', () => {
  const low = moduleOf('a', treeOf({ f: fileOf('same', { mtimeSec: 1 }), l: linkTo('x') }));
  const high = moduleOf('b', treeOf({ f: fileOf('same', { mtimeSec: 2 }), l: linkTo('x') }));
  assert.equal(lookup(mergeModules([low, high]), '/f')?.mtimeSec, 2);
});

test('a conflict names the path and both modules; replaces settles it, for the higher module', () => {
  const low = moduleOf('base', treeOf({ etc: directoryOf({ motd: fileOf('base') }) }));
  const tree = treeOf({ etc: directoryOf({ motd: fileOf('extra') }) });
  const high = moduleOf('extra', tree, { priority: 20 });
  assert.throws(
    () => mergeModules([low, high]),
    (error) =>
      error instanceof BilletError &&
      error.code === 'MERGE_CONFLICT' &&
      error.message.includes('/etc/motd') &&
      error.details.rule === MERGE_RULE &&
      assert.deepEqual(error.details.modules, ['base', 'extra']) === undefined,
  );
  for (const replaces of ['/etc/motd', '/etc', '/etc/']) {
    const merged = mergeModules([{ ...high, replaces: [replaces] }, low]);
    const motd = lookup(merged, '/etc/motd');
    assert.equal(
      motd?.kind === 'file' && motd.content.kind === 'inline' && `${motd.content.bytes}`,
      'extra',
    );
  }
  for (const replaces of ['/etc/mot', '/et', '/etc/motd/x'])
    assert.throws(() => mergeModules([{ ...high, replaces: [replaces] }, low]), {
      code: 'MERGE_CONFLICT',
    });
  assert.throws(() => mergeModules([{ ...low, replaces: ['/etc'] }, high]), {
    code: 'MERGE_CONFLICT',
  });
});

test('types conflict in both directions, and what is replaced goes with all below', () => {
  const directory = moduleOf('a', treeOf({ x: directoryOf({ y: fileOf('') }) }));
  const file = moduleOf('b', treeOf({ x: fileOf('') }));
  assert.throws(() => mergeModules([directory, file]), { code: 'MERGE_CONFLICT' });
  assert.throws(() => mergeModules([{ ...directory, name: 'c' }, file]), {
    code: 'MERGE_CONFLICT',
  });
  const merged = mergeModules([directory, { ...file, replaces: ['/x'] }]);
  assert.equal(lookup(merged, '/x')?.kind, 'file');
});

test('metadata of the root are fixed, and so are the xattrs that are kept', () => {
  const value = Buffer.from('v');
  const kept = ['security.capability', 'user.k'];
  const dropped = [
    'security.selinux',
    'security.ima',
    'trusted.overlay.opaque',
    'user.overlay.whiteout',
  ];
  const xattrs = new Map([...kept, ...dropped].map((key) => [key, value]));
  const tree = {
    root: directoryOf({ f: fileOf('', { xattrs }) }, { uid: 5, xattrs, mtimeSec: 9 }),
  };
  const merged = mergeModules([moduleOf('a', tree)]);
  assert.deepEqual([...(lookup(merged, '/f')?.xattrs.keys() ?? [])], kept);
  assert.deepEqual([merged.root.uid, merged.root.mtimeSec, merged.root.xattrs.size], [0, 0, 0]);
});

test('hard links of a module stay hard links', () => {
  const shared = fileOf('shared');
  const merged = mergeModules([moduleOf('a', treeOf({ x: shared, y: shared }))]);
  assert.equal(lookup(merged, '/x'), lookup(merged, '/y'));
});

test('a name that comes twice is refused', () => {
  const module = moduleOf('a', treeOf({}));
  assert.throws(() => mergeModules([module, module]), { code: 'MODULE_INVALID' });
});

/** The digest, or the conflict. */
function outcome(modules: readonly MergeModule[]): string {
  try {
    return composeImage(mergeModules(modules)).digest;
  } catch (error) {
    assert.ok(error instanceof BilletError && error.code === 'MERGE_CONFLICT');
    return error.message;
  }
}

test('the order of the input changes neither the image nor the conflict', async () => {
  const modules = fc
    .array(fc.tuple(anyTree, fc.integer({ min: 0, max: 2 })), { minLength: 2, maxLength: 4 })
    .map((list) =>
      list.map(([tree, priority], index) =>
        moduleOf(`m${index}`, tree, { priority, replaces: index % 2 === 0 ? ['/a', '/usr'] : [] }),
      ),
    );
  await fc.assert(
    fc.property(modules, (list) => {
      assert.equal(outcome([...list].reverse()), outcome(list));
    }),
    { numRuns: 40, seed: 4 },
  );
});

test('merging a module with its like changes nothing, and merging is done when it is done', async () => {
  await fc.assert(
    fc.property(anyTree, (tree) => {
      const once = mergeModules([moduleOf('a', tree)]);
      const twice = mergeModules([moduleOf('a', tree), moduleOf('b', tree)]);
      const again = mergeModules([moduleOf('c', once)]);
      assert.equal(composeImage(twice).digest, composeImage(once).digest);
      assert.equal(composeImage(again).digest, composeImage(once).digest);
    }),
    { numRuns: 40, seed: 5 },
  );
});
