// Every vector of composefs' C tools 1.0.8: dump to image, bit for bit, and back.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { formatDump } from './dump.ts';
import { parseDump } from './dump-parse.ts';
import { writeErofs } from './erofs.ts';
import { readErofs } from './erofs-read.ts';
import { fsverityHex } from './fsverity.ts';

const folder = new URL('./testdata/', import.meta.url);
const read = (name: string): Buffer => gunzipSync(readFileSync(new URL(name, folder)));
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.dump.gz'))
  .map((name) => name.slice(0, -'.dump.gz'.length));
const byHand = new Set(['hardlinks', 'names-not-utf8']);
const digests = new Map(
  readFileSync(new URL('DIGESTS', folder), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .map(([digest = '', , name = '']) => [name, digest]),
);

for (const name of names) {
  const dump = read(`${name}.dump.gz`);
  const image = read(`${name}.erofs.gz`);

  test(`the image of ${name} equals the reference bit for bit`, () => {
    const ours = writeErofs(parseDump(dump));
    assert.equal(ours.length, image.length);
    assert.equal(ours.compare(image), 0);
    assert.equal(fsverityHex(ours), digests.get(name));
  });

  test(`the image of ${name} reads back into the tree of its dump`, () => {
    const tree = readErofs(image);
    assert.equal(writeErofs(tree).compare(image), 0);
    // Written by hand: sizes of directories and escapes are not those of composefs-info.
    const expected = byHand.has(name) ? formatDump(parseDump(dump)) : dump;
    assert.equal(formatDump(tree).toString('latin1'), expected.toString('latin1'));
  });
}
