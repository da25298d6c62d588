import assert from 'node:assert/strict';
import { test } from 'node:test';
import { treeOfLayers } from './layer-apply.ts';
import { layerOf, type TarPart, tarOf } from './tar-testing.ts';
import { lookup, S_IFDIR, walk } from './tree.ts';

const treeOf = async (...layers: readonly (readonly TarPart[])[]) =>
  treeOfLayers(await Promise.all(layers.map((parts) => layerOf(tarOf(...parts)))));

const pathsOf = (tree: Awaited<ReturnType<typeof treeOf>>) =>
  [...walk(tree)].map(({ path }) => path);

test('a whiteout hides what lower layers have, never what its own layer brings', async () => {
  const tree = await treeOf(
    [{ name: 'a/x' }, { name: 'a/y' }, { name: 'b' }],
    [{ name: 'a/x', body: 'new' }, { name: 'a/.wh.x' }, { name: '.wh.b' }, { name: '.wh.absent' }],
  );
  assert.deepEqual(pathsOf(tree), ['/', '/a', '/a/x', '/a/y']);
});

test('an opaque directory keeps only what its own layer brings', async () => {
  const tree = await treeOf(
    [{ name: 'a/x' }, { name: 'a/sub/y' }],
    [{ name: 'a/new' }, { name: 'a/.wh..wh..opq' }],
  );
  assert.deepEqual(pathsOf(tree), ['/', '/a', '/a/new']);
});

test('directories merge and take the new metadata; other types replace each other', async () => {
  const tree = await treeOf(
    [{ name: 'd/', type: '5', mode: 0o700 }, { name: 'd/x' }, { name: 't/x' }, { name: 'f' }],
    [{ name: 'd/', type: '5', mode: 0o1777 }, { name: 't' }, { name: 'f/', type: '5' }],
  );
  assert.deepEqual(pathsOf(tree), ['/', '/d', '/d/x', '/f', '/t']);
  assert.equal(lookup(tree, '/d')?.mode, S_IFDIR | 0o1777);
  assert.equal(lookup(tree, '/t')?.kind, 'file');
  assert.equal(lookup(tree, '/f')?.kind, 'directory');
});

test('hard links share one inode, in a layer and across layers', async () => {
  const tree = await treeOf(
    [
      { name: 'a', body: 'content' },
      { name: 'b', type: '1', link: './a' },
    ],
    [
      { name: 'c', type: '1', link: 'b' },
      { name: 'a', body: 'changed' },
    ],
  );
  assert.equal(lookup(tree, '/b'), lookup(tree, '/c'));
  assert.notEqual(lookup(tree, '/a'), lookup(tree, '/b'));
});

test('a hard link to nothing, to a directory or to itself is refused', async () => {
  for (const link of ['absent', 'd', 'x', '.'])
    await assert.rejects(
      treeOf([
        { name: 'd/', type: '5' },
        { name: 'x', type: '1', link },
      ]),
      { code: 'TAR_INVALID' },
      link,
    );
});

test('a symlink is never followed: not by entries, whiteouts or hard links', async () => {
  const symlink: TarPart = { name: 'link', type: '2', link: '/etc' };
  for (const part of [
    { name: 'link/passwd' },
    { name: 'link/sub/', type: '5' },
    { name: 'own', type: '1', link: 'link/shadow' },
  ])
    await assert.rejects(treeOf([symlink, part]), { code: 'PATH_ESCAPE' });
  for (const name of ['link/.wh.passwd', 'link/.wh..wh..opq'])
    await assert.rejects(treeOf([symlink], [{ name }]), { code: 'PATH_ESCAPE' });
});

test('a path below a file is refused', async () => {
  await assert.rejects(treeOf([{ name: 'a' }, { name: 'a/b' }]), { code: 'TAR_INVALID' });
});

test('a root and directories without an entry have fixed metadata', async () => {
  const tree = await treeOf([{ name: 'a/b/c' }]);
  for (const path of ['/', '/a', '/a/b']) {
    const { mode, uid, gid, mtimeSec, mtimeNsec } = lookup(tree, path) ?? assert.fail(path);
    assert.deepEqual([mode, uid, gid, mtimeSec, mtimeNsec], [S_IFDIR | 0o755, 0, 0, 0, 0]);
  }
  const rooted = await treeOf([{ name: './', type: '5', mode: 0o711 }, { name: './a' }]);
  assert.equal(rooted.root.mode, S_IFDIR | 0o711);
  assert.deepEqual(pathsOf(rooted), ['/', '/a']);
});

test('device numbers are those of Linux, and applying a layer changes no lower tree', async () => {
  const lower = await treeOf([{ name: 'dev/null', type: '3', device: [1, 3] }]);
  const before = pathsOf(lower);
  const upper = await layerOf(
    tarOf({ name: 'dev/.wh.null' }, { name: 'dev/sda', type: '4', device: [259, 300] }),
  );
  const { applyLayer } = await import('./layer-apply.ts');
  const tree = applyLayer(lower, upper);
  assert.deepEqual(pathsOf(lower), before);
  const device = lookup(tree, '/dev/sda');
  assert.equal(
    device?.kind === 'special' && device.rdev,
    (300 & 0xff) | (259 << 8) | (0x100 << 12),
  );
});
