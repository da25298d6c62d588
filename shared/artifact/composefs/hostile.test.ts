// Inputs made to exhaust memory or time, and a few hundred broken ones of each family. The large
// run, with a watchdog, is test/composefs/composefs-fuzz.peer.ts.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { BilletError } from '#shared/errors.ts';
import { parseDump } from './dump-parse.ts';
import { writeErofs } from './erofs.ts';
import { readErofs } from './erofs-read.ts';
import { judgeDump, judgeImage, judgeTar, mutated } from './fuzz-testing.ts';
import { hostileTar, mendChecksums } from './hostile-tar-testing.ts';
import { treeOfLayers } from './layer-apply.ts';
import { randomOf } from './random-testing.ts';
import { randomTree } from './random-tree-testing.ts';
import type { TarLimits } from './tar-read.ts';
import { layerOf, paxRecord, TAR_END, tarOf, tarPart } from './tar-testing.ts';
import { tarOfTree } from './tree-tar-testing.ts';
import { directoryOf } from './tree-testing.ts';

const vector = (name: string): Buffer =>
  gunzipSync(readFileSync(new URL(`./testdata/${name}.gz`, import.meta.url)));

const tars = [1, 2].map((seed) => tarOfTree(randomTree(seed, 20, 'disk')));
const images = ['mixed.erofs', 'xattrs.erofs', 'hardlinks.erofs'].map(vector);
const dumps = ['mixed.dump', 'xattrs.dump', 'hardlinks.dump'].map(vector);

test('broken tars, images and dumps are read or refused with a code', async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const random = randomOf(seed);
    try {
      await judgeTar(hostileTar(random));
      await judgeTar(mendChecksums(mutated(random, random.pick(tars), 512)));
      await judgeImage(mutated(random, random.pick(images), 512));
      await judgeDump(mutated(random, random.pick(dumps), 50));
    } catch (error) {
      assert.fail(`seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    }
  }
});

const refusal = (match: RegExp) => (error: unknown) =>
  error instanceof BilletError &&
  error.code === 'TAR_INVALID' &&
  error.hint !== '' &&
  match.test(error.message);

const refused = async (bytes: Buffer, match: RegExp, limits: Partial<TarLimits> = {}) =>
  assert.rejects(layerOf(bytes, undefined, limits), refusal(match));

const pax = (...records: readonly string[]) => tarPart({ type: 'x', body: records.join('') });

test('extended headers before one entry are bounded together, not one by one', async () => {
  const header = pax(paxRecord('comment', 'x'.repeat(600)));
  const endless = Buffer.concat([header, header, tarPart({ name: 'a' }), TAR_END]);
  await refused(endless, /extended tar headers of 1\d\d\d bytes/, { maxExtensionBytes: 1000 });
  const apart = Buffer.concat([
    header,
    tarPart({ name: 'a' }),
    header,
    tarPart({ name: 'b' }),
    TAR_END,
  ]);
  assert.equal((await layerOf(apart, undefined, { maxExtensionBytes: 1000 })).entries.length, 2);
});

test('global records, which every entry after them looks at, are few', async () => {
  const records = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => paxRecord(`key${from + index}`, 'v'));
  const global = (from: number, to: number) =>
    tarPart({ type: 'g', body: records(from, to).join('') });
  await refused(Buffer.concat([global(0, 60), global(60, 120), TAR_END]), /100 global PAX records/);
  await layerOf(Buffer.concat([global(0, 60), global(0, 60), TAR_END]));
});

test('a global header does not hide that a header waits for its entry', async () => {
  const global = tarPart({ type: 'g', body: paxRecord('comment', 'x') });
  await refused(
    Buffer.concat([pax(paxRecord('path', 'a')), global, TAR_END]),
    /for the next entry/,
  );
});

test('names, links and xattrs of all entries are bounded together', async () => {
  const parts = Array.from({ length: 20 }, (_, index) => ({
    name: `f${index}`,
    pax: { 'SCHILY.xattr.user.x': 'x'.repeat(100) },
  }));
  await refused(tarOf(...parts), /bytes of names and xattrs/, { maxMetadataBytes: 2000 });
  const deep = { name: 'f', pax: { path: `${'a/'.repeat(1000)}b` } };
  await refused(tarOf(deep), /bytes of names and xattrs/, { maxMetadataBytes: 10_000 });
});

test('directories that paths only imply are bounded', async () => {
  const entries = Array.from({ length: 600 }, (_, index) => ({
    name: 'f',
    type: '5',
    pax: { path: `${index}${'/d'.repeat(2000)}` },
  }));
  const layer = await layerOf(tarOf(...entries));
  assert.throws(() => treeOfLayers([layer]), refusal(/directories without entry/));
});

test('a file of any size that is not there is a stream that ends too early', async () => {
  for (const size of ['9007199254740991', '1099511627776'])
    await refused(tarOf({ pax: { size } }), /ends too early/);
  await refused(tarOf({ pax: { size: '99999999999999999999' } }), /size/);
});

test('an image with a path that nothing could open is refused', () => {
  let inner = directoryOf({});
  for (let level = 0; level < 2050; level += 1) inner = directoryOf({ d: inner });
  assert.throws(() => readErofs(writeErofs({ root: inner })), { code: 'COMPOSEFS_FORMAT' });
});

test('a dump whose hard links lead to each other in a long chain is read in one pass', () => {
  const count = 60_000;
  const links = Array.from({ length: count }, (_, index) => {
    const target = index + 1 < count ? `/l${index + 1}` : '/file';
    return `/l${index} 0 @100644 1 0 0 0 0.0 ${target} - -\n`;
  });
  const head = '/ 0 40755 2 0 0 0 0.0 - - -\n/file 0 100644 1 0 0 0 0.0 - - -\n';
  const { root } = parseDump(Buffer.from(head + links.join('')));
  assert.equal(root.children.get('l0'), root.children.get('file'));
  const circle = `${head}/a 0 @100644 1 0 0 0 0.0 /b - -\n/b 0 @100644 1 0 0 0 0.0 /a - -\n`;
  assert.throws(() => parseDump(Buffer.from(circle)), { code: 'COMPOSEFS_FORMAT' });
});
