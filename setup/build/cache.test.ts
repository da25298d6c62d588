import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { cached, cacheKey, treeDigest } from './cache.ts';

let cacheDir = '';
let halfHours = 0;
/** Half an hour later each time. */
const place = () => {
  const now = ++halfHours * 1_800_000;
  return { cacheDir, clock: { ...systemClock, now: () => now } };
};
beforeEach(() => {
  cacheDir = mkdtempSync(join(tmpdir(), 'billet-cache-'));
});
afterEach(() => rmSync(cacheDir, { recursive: true }));

const fill = (text: string) => async (dir: string) => writeFileSync(join(dir, 'file'), text);

test('an entry is built once, and again when an input changes', async () => {
  let builds = 0;
  const build = async (dir: string) => fill(String(++builds))(dir);
  const first = await cached(place(), 'root', { a: '1', b: '2' }, build);
  assert.equal(await cached(place(), 'root', { b: '2', a: '1' }, build), first);
  assert.notEqual(await cached(place(), 'root', { a: '1', b: '3' }, build), first);
  assert.equal(builds, 2);
});

test('a build that fails leaves nothing behind', async () => {
  const build = async (dir: string) => {
    await fill('half')(dir);
    throw new Error('no space');
  };
  await assert.rejects(cached(place(), 'root', { a: '1' }, build), /no space/);
  assert.deepEqual(readdirSync(cacheDir), []);
});

test('what a dead builder left is removed, and the least recently used entries that nobody may be using', async () => {
  mkdirSync(join(cacheDir, `partial-root-${2 ** 22 + 1}-0123456789abcdef`));
  const entries = [];
  for (const version of ['1', '2', '3', '4', '5', '6'])
    entries.push(await cached(place(), 'root', { version }, fill(version)));
  assert.deepEqual(
    entries.map((entry) => existsSync(entry)),
    [false, false, true, true, true, true],
  );
  assert.equal(readdirSync(cacheDir).length, 4);
});

test('a tree is another one when a name, a mode or a byte differs', async () => {
  const digests = new Set<string>();
  for (const [name, text, mode] of [
    ['a', 'x', 0o644],
    ['b', 'x', 0o644],
    ['a', 'y', 0o644],
    ['a', 'x', 0o755],
  ] as const) {
    const dir = mkdtempSync(join(cacheDir, 'tree-'));
    writeFileSync(join(dir, name), text, { mode });
    digests.add(await treeDigest(dir));
  }
  assert.equal(digests.size, 4);
  assert.match(cacheKey({ a: '1' }), /^[0-9a-f]{16}$/);
});
