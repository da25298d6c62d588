import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { billet } from '../testing.ts';

const DAY = 86_400;
const KEY = '0123456789abcde';
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'billet-work-'));
  mkdirSync(join(dir, 'cache'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A folder with 64 KiB in it, so many days old. */
function put(path: string, days: number): string {
  const at = join(dir, path);
  mkdirSync(at, { recursive: true });
  writeFileSync(join(at, 'file'), Buffer.alloc(65_536, 1));
  const seconds = Math.floor(systemClock.now() / 1000 - days * DAY);
  for (const each of [join(at, 'file'), at]) utimesSync(each, seconds, seconds);
  return at;
}

const work = (verb: string, ...flags: readonly string[]) =>
  billet(['work', verb, '--work', join(dir, 'work'), '--cache', join(dir, 'cache'), ...flags]);

test('prune shows what would go and removes nothing; with --apply just that is gone', async () => {
  const entries = [1, 2, 3, 4].map((n) => put(`cache/root-${KEY}${n}`, n));
  const dry = await work('prune', '--keep', '2', '--json');
  assert.deepEqual([dry.code, entries.every((each) => existsSync(each))], [0, true]);
  assert.equal(JSON.parse(dry.stdout).items.length, 2);
  const { code } = await work('prune', '--keep', '2', '--apply');
  assert.equal(code, 0);
  assert.deepEqual(
    entries.map((each) => existsSync(each)),
    [true, true, false, false],
  );
});

test('keys, what a running build fills, and what is used lately stay; leftovers of the dead go', async () => {
  const kept = [
    put('cache/keys', 90),
    put(`cache/partial-root-${process.pid}-${KEY}1`, 90),
    ...[1, 2].map((n) => put(`cache/layer-${KEY}${n}`, 0)),
  ];
  const dead = put(`cache/partial-root-4194305-${KEY}2`, 0);
  await work('prune', '--keep', '1', '--apply');
  assert.deepEqual(
    kept.map((each) => existsSync(each)),
    [true, true, true, true],
  );
  assert.equal(existsSync(dead), false);
});

test('evidence that latest points at stays, however old', async () => {
  const names = ['20260101T000000Z', '20260102T000000Z', '20260103T000000Z'];
  const [oldest = '', ...newer] = names.map((name, i) =>
    put(`work/hardware-smoke/${name}`, 90 - i),
  );
  symlinkSync(names[0] ?? '', join(dir, 'work/hardware-smoke/latest'));
  await work('prune', '--keep', '1', '--apply');
  assert.deepEqual(
    [oldest, ...newer].map((each) => existsSync(each)),
    [true, false, true],
  );
});

test('nothing outside is touched: links are neither followed nor removed', async () => {
  const outside = put('elsewhere/20260101T000000Z', 90);
  mkdirSync(join(dir, 'work'));
  symlinkSync(join(dir, 'elsewhere'), join(dir, 'work/suite'));
  symlinkSync(outside, join(dir, `cache/root-${KEY}1`));
  for (const n of [2, 3]) put(`cache/root-${KEY}${n}`, n);
  const { stdout } = await work('prune', '--keep', '1', '--apply', '--json');
  assert.ok(existsSync(join(outside, 'file')));
  assert.ok(!stdout.includes('elsewhere'));
});

test('enforce fails over the budget, and says what would help', async () => {
  for (const n of [1, 2, 3]) put(`cache/root-${KEY}${n}`, n);
  assert.equal((await work('enforce')).code, 0);
  mkdirSync(join(dir, 'work'));
  writeFileSync(join(dir, 'work/budget.json'), '{"format": 1, "cacheBytes": 100000, "keep": 1}');
  const { code, stderr } = await work('enforce');
  assert.equal(code, 1);
  assert.match(
    stderr,
    /cache .* of 97\.7 KiB\nhint: billet work prune --apply frees .*\ncode: OVER_BUDGET/,
  );
});

test('a budget with a field that nobody knows is an error that names it', async () => {
  mkdirSync(join(dir, 'work'));
  writeFileSync(join(dir, 'work/budget.json'), '{"format": 1, "cacheByte": 1}');
  const { stderr } = await work('status');
  assert.match(stderr, /cacheByte.*\n.*hint: it holds format 1.*\ncode: CONFIG_INVALID/s);
});

test('a link in the place of an output leads prune nowhere else', async () => {
  const elsewhere = put('elsewhere', 90);
  put('elsewhere/.cache/billet', 90);
  symlinkSync(elsewhere, join(dir, 'coverage'));
  symlinkSync(elsewhere, join(dir, 'node_modules'));
  const { code } = await work('prune', '--apply');
  assert.equal(code, 0);
  assert.ok(existsSync(join(elsewhere, 'file')));
  assert.ok(existsSync(join(elsewhere, '.cache/billet/file')));
});

test('an output goes when nobody used it lately, and so does evidence, however deep it was written to', async () => {
  const old = put('coverage', 1);
  const used = put('node_modules/.cache/billet', 0);
  const deep = put('work/suite/20260101T000000Z', 90);
  put('work/suite/20260101T000000Z/boot-1', 0);
  const seconds = systemClock.now() / 1000 - 90 * DAY;
  utimesSync(deep, seconds, seconds);
  put('work/suite/20260102T000000Z', 80);
  await work('prune', '--keep', '1', '--apply');
  assert.deepEqual(
    [old, used, deep].map((each) => existsSync(each)),
    [false, true, true],
  );
});
