// Our image on the kernel: EROFS with an overlay of objects gives back the tree it was made from.
// Sealing and `verity=require` need a kernel with fs-verity; the suites in QEMU have one.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readDirectory } from '#shared/artifact/composefs/directory.ts';
import { openXattrs } from '#shared/artifact/composefs/drivers/xattrs.ts';
import { formatDump } from '#shared/artifact/composefs/dump.ts';
import { fsverityHex } from '#shared/artifact/composefs/fsverity.ts';
import { composeImage } from '#shared/artifact/composefs/image.ts';
import { treeOfLayers } from '#shared/artifact/composefs/layer-apply.ts';
import { digestSink, type ObjectSink } from '#shared/artifact/composefs/object-sink.ts';
import { layerOf, type TarPart, tarOf } from '#shared/artifact/composefs/tar-testing.ts';

const PARTS: readonly TarPart[] = [
  { name: './', type: '5', mode: 0o755, pax: { 'SCHILY.xattr.user.root': 'yes' } },
  { name: 'large', body: 'large '.repeat(5000), pax: { mtime: '1700000001.000000005' } },
  { name: 'small', body: 'small', mode: 0o4755, pax: { 'SCHILY.xattr.user.bin': '\x00\xff' } },
  { name: 'shared-xattr', body: 'x', pax: { 'SCHILY.xattr.user.bin': '\x00\xff', uid: '70000' } },
  { name: 'caf\xe9/', type: '5', mode: 0o1777 },
  { name: 'caf\xe9/\xff\xfe', body: 'y'.repeat(65) },
  { name: 'link', type: '2', link: 'caf\xe9/../\xff', mode: 0o777 },
  { name: 'null', type: '3', device: [1, 3] },
  { name: 'pipe', type: '6' },
  { name: '00', body: 'named like a directory of the store' },
  { name: 'opaque/', type: '5', pax: { 'SCHILY.xattr.trusted.overlay.origin': 'escaped' } },
  ...Array.from({ length: 400 }, (_, index) => ({ name: `wide/entry-${index}`, body: `${index}` })),
];

/** Stores objects below `folder`, as an overlay finds them. */
function folderSink(folder: string): ObjectSink {
  return {
    begin: () => {
      const chunks: Buffer[] = [];
      return {
        write: (chunk) => {
          chunks.push(Buffer.from(chunk));
        },
        end: async () => {
          const digest = fsverityHex(Buffer.concat(chunks));
          mkdirSync(join(folder, digest.slice(0, 2)), { recursive: true });
          writeFileSync(join(folder, digest.slice(0, 2), digest.slice(2)), Buffer.concat(chunks));
          return digest;
        },
        abort: async () => {},
      };
    },
  };
}

const isRoot = process.getuid?.() === 0;

test('the kernel reads from our image the tree that went in', { skip: !isRoot }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'composefs-mount-'));
  const [objects, erofs, merged] = ['objects', 'erofs', 'merged'].map((name) => {
    mkdirSync(join(folder, name));
    return join(folder, name);
  }) as [string, string, string];
  const mounted: string[] = [];
  const mount = (target: string, ...args: readonly string[]): void => {
    execFileSync('mount', [...args, target], { timeout: 10_000 });
    mounted.unshift(target);
  };
  t.after(() => {
    for (const target of mounted) execFileSync('umount', [target], { timeout: 10_000 });
    rmSync(folder, { recursive: true });
  });

  const layer = await layerOf(tarOf(...PARTS), folderSink(objects));
  const links = await layerOf(tarOf({ name: 'hard', type: '1', link: 'small' }));
  writeFileSync(join(folder, 'image'), composeImage(treeOfLayers([layer, links])).bytes);
  mount(erofs, '-t', 'erofs', '-o', 'ro', join(folder, 'image'));
  const options = `ro,lowerdir=${erofs}::${objects},metacopy=on,redirect_dir=on`;
  mount(merged, '-t', 'overlay', '-o', options, 'overlay');

  assert.equal(lstatSync(join(merged, 'hard')).ino, lstatSync(join(merged, 'small')).ino);
  assert.equal(lstatSync(join(merged, 'small')).nlink, 2);
  // A hard link is read as a file of its own, so it is one in the expectation too.
  const copy = await layerOf(tarOf({ ...PARTS[2], name: 'hard' }));
  const expected = formatDump(treeOfLayers([layer, copy])).toString('latin1');
  const actual = await readDirectory(merged, digestSink(), openXattrs());
  const byKey = (dump: string): string[] =>
    dump.split('\n').map((line) => {
      const fields = line.split(' ');
      return [...fields.slice(0, 11), ...fields.slice(11).sort()].join(' ');
    });
  assert.deepEqual(byKey(formatDump(actual).toString('latin1')), byKey(expected));
});
