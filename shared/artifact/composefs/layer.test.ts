import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import { fsverityHex } from './fsverity.ts';
import { treeOfLayers } from './layer-apply.ts';
import type { ObjectSink } from './object-sink.ts';
import { layerOf, paxRecord, TAR_END, type TarPart, tarOf, tarPart } from './tar-testing.ts';
import { lookup } from './tree.ts';

const treeOf = async (...parts: readonly TarPart[]) =>
  treeOfLayers([await layerOf(tarOf(...parts))]);

test('content up to 64 bytes stays inline, longer content becomes an object', async () => {
  const tree = await treeOf(
    { name: 'small', body: 'x'.repeat(64) },
    { name: 'large', body: 'y'.repeat(65) },
    { name: 'empty' },
  );
  const contents = ['/small', '/large', '/empty'].map((path) => {
    const inode = lookup(tree, path);
    return inode?.kind === 'file' ? inode.content : null;
  });
  assert.deepEqual(contents, [
    { kind: 'inline', bytes: Buffer.from('x'.repeat(64)) },
    { kind: 'external', sizeBytes: 65, digestHex: fsverityHex(Buffer.from('y'.repeat(65))) },
    { kind: 'inline', bytes: Buffer.alloc(0) },
  ]);
});

test('PAX records are bytes: names and xattrs need not be UTF-8, times have nanoseconds', async () => {
  const tree = await treeOf({
    name: 'short',
    pax: {
      path: 'dir/\xff\xfe',
      mtime: '-1.25',
      uid: '4000000000',
      'SCHILY.xattr.user.bin': '\x00\xff=\n',
      'SCHILY.xattr.user.both': 'raw',
      'LIBARCHIVE.xattr.user.both': Buffer.from('other').toString('base64'),
      'LIBARCHIVE.xattr.user.%6b': Buffer.from('\xfe', 'latin1').toString('base64'),
    },
  });
  const inode = lookup(tree, '/dir/\xff\xfe');
  assert.ok(inode);
  assert.deepEqual(
    [inode.mtimeSec, inode.mtimeNsec, inode.uid, inode.gid],
    [-2, 750_000_000, 4_000_000_000, 2],
  );
  const xattrs = [...inode.xattrs].map(([key, value]) => [key, value.toString('latin1')]).sort();
  assert.deepEqual(xattrs, [
    ['user.bin', '\x00\xff=\n'],
    ['user.both', 'raw'],
    ['user.k', '\xfe'],
  ]);
});

test('long names of GNU tar, directories of v7 tar and base-256 numbers are understood', async () => {
  const long = `${'n'.repeat(120)}/file`;
  const base256 = tarPart({ name: 'big-uid' });
  base256.fill(0, 108, 116).writeUInt8(0x80, 108);
  base256.writeUInt32BE(3_000_000_000, 112);
  base256.fill(' ', 148, 156);
  const sum = base256.subarray(0, 512).reduce((a, b) => a + b, 0);
  base256.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const bytes = Buffer.concat([
    tarPart({ name: '././@LongLink', type: 'L', body: `${long}\0`, format: 'gnu' }),
    tarPart({ name: 'cut', format: 'gnu' }),
    tarPart({ name: 'old/', format: 'v7', type: '\0' }),
    base256,
    TAR_END,
  ]);
  const tree = treeOfLayers([await layerOf(bytes)]);
  assert.equal(lookup(tree, `/${long}`)?.kind, 'file');
  assert.equal(lookup(tree, '/old')?.kind, 'directory');
  assert.equal(lookup(tree, '/big-uid')?.uid, 3_000_000_000);
});

test('global PAX records hold until an entry has its own', async () => {
  const bytes = Buffer.concat([
    tarPart({ type: 'g', body: paxRecord('mtime', '5') }),
    tarPart({ name: 'a' }),
    tarPart({ name: 'b', pax: { mtime: '6.5' } }),
    TAR_END,
  ]);
  const tree = treeOfLayers([await layerOf(bytes)]);
  assert.deepEqual([lookup(tree, '/a')?.mtimeSec, lookup(tree, '/b')?.mtimeSec], [5, 6]);
});

const bad: readonly (readonly [string, 'TAR_INVALID' | 'PATH_ESCAPE', readonly TarPart[]])[] = [
  ['a path with ..', 'PATH_ESCAPE', [{ name: 'a/../../etc/passwd' }]],
  ['an absolute path', 'PATH_ESCAPE', [{ name: '/etc/passwd' }]],
  ['a PAX path that climbs', 'PATH_ESCAPE', [{ name: 'x', pax: { path: '../x' } }]],
  [
    'a hard link out of the root',
    'PATH_ESCAPE',
    [{ name: 'x', type: '1', link: '../../etc/shadow' }],
  ],
  ['a whiteout of ..', 'PATH_ESCAPE', [{ name: 'a/.wh...' }]],
  ['a sparse file', 'TAR_INVALID', [{ type: 'S' }]],
  ['a sparse file in PAX', 'TAR_INVALID', [{ pax: { 'GNU.sparse.major': '1' } }]],
  ['an unknown type', 'TAR_INVALID', [{ type: 'V' }]],
  ['a directory with content', 'TAR_INVALID', [{ type: '5', body: 'x' }]],
  ['a root that is a file', 'TAR_INVALID', [{ name: './', type: '2', link: 'x' }]],
  ['a symlink without target', 'TAR_INVALID', [{ type: '2' }]],
  ['a PAX size that is no number', 'TAR_INVALID', [{ pax: { size: '1e9' } }]],
  ['a PAX record of the wrong length', 'TAR_INVALID', [{ type: 'x', body: '99 path=x\n' }, {}]],
  ['a NUL in a PAX path', 'TAR_INVALID', [{ pax: { path: 'a\0b' } }]],
  ['a name over 255 bytes', 'TAR_INVALID', [{ pax: { path: 'n'.repeat(256) } }]],
  ['a device beyond 32 bits', 'TAR_INVALID', [{ type: '3', device: [4096, 0] }]],
  ['an extended header at the end', 'TAR_INVALID', [{ type: 'x', body: paxRecord('path', 'x') }]],
  ['bookkeeping of AUFS', 'TAR_INVALID', [{ name: '.wh..wh.plnk' }]],
];

for (const [what, code, parts] of bad)
  test(`${what} is refused with ${code}`, async () => {
    await assert.rejects(layerOf(tarOf(...parts)), (error) => codeOf(error) === code);
  });

const codeOf = (error: unknown): string => (error instanceof BilletError ? error.code : `${error}`);

test('a flipped bit of a header breaks its checksum', async () => {
  const bytes = tarOf({ name: 'file' });
  bytes[3] = (bytes[3] ?? 0) ^ 1;
  await assert.rejects(layerOf(bytes), /checksum/);
});

test('a stream that ends too early is refused wherever it ends', async () => {
  const bytes = tarOf({ name: 'a', body: 'x'.repeat(700) }, { name: 'b' });
  for (const end of [0, 100, 512, 700, 512 + 700, 1536, 2000, 2048])
    await assert.rejects(
      layerOf(bytes.subarray(0, end)),
      (e) => codeOf(e) === 'TAR_INVALID',
      `${end}`,
    );
});

test('what follows the end of the archive is read and ignored', async () => {
  const bytes = Buffer.concat([tarOf({ name: 'a' }), Buffer.from('rubbish'.repeat(500))]);
  const hash = createHash('sha256');
  const { readLayer } = await import('./layer.ts');
  const source = async function* () {
    for (let offset = 0; offset < bytes.length; offset += 100) {
      hash.update(bytes.subarray(offset, offset + 100));
      yield bytes.subarray(offset, offset + 100);
    }
  };
  const layer = await readLayer(source(), sinkThatFails(0).sink);
  assert.equal(layer.entries.length, 1);
  assert.equal(hash.digest('hex'), createHash('sha256').update(bytes).digest('hex'));
});

test('limits on entries, paths and extended headers hold', async () => {
  const entries = tarOf({ name: 'a' }, { name: 'b' }, { name: 'c' });
  await assert.rejects(layerOf(entries, undefined, { maxEntries: 2 }), /more than 2 entries/);
  const path = tarOf({ pax: { path: 'a/'.repeat(40) } });
  await assert.rejects(layerOf(path, undefined, { maxPathBytes: 50 }), /more than 50 bytes/);
  await assert.rejects(layerOf(path, undefined, { maxExtensionBytes: 50 }), /extended tar header/);
});

/** Fails the object with this number; counts what was begun, ended and aborted. */
function sinkThatFails(failing: number) {
  const counts = { begun: 0, ended: 0, aborted: 0 };
  const sink: ObjectSink = {
    begin: () => {
      counts.begun += 1;
      const number = counts.begun;
      return {
        write: () => {},
        end: async () => {
          await new Promise(setImmediate);
          if (number === failing) throw new Error('disk full');
          counts.ended += 1;
          return '0'.repeat(64);
        },
        abort: async () => {
          counts.aborted += 1;
        },
      };
    },
  };
  return { sink, counts };
}

test('an error of the sink ends the reading, and a cut stream aborts the object under way', async () => {
  const files = Array.from({ length: 200 }, (_, i) => ({ name: `f${i}`, body: 'x'.repeat(100) }));
  const full = sinkThatFails(3);
  await assert.rejects(layerOf(tarOf(...files), full.sink), /disk full/);
  assert.ok(full.counts.begun < 200);

  const cut = sinkThatFails(0);
  await assert.rejects(layerOf(tarOf(...files).subarray(0, 1024 * 5 + 550), cut.sink));
  assert.deepEqual(cut.counts, { begun: 6, ended: 5, aborted: 1 });
});
