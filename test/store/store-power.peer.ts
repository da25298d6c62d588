// SQLite under power cut: the writes and syncs of a real store are recorded by strace, the power is
// cut before each of them, and what is left on the disk is opened again.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ReplayOptions, replay } from './store-replay.ts';
import { type DiskEvent, recordTrace } from './store-trace.ts';

const CHILD = join(import.meta.dirname, 'store-child.ts');
const FILE = 'store.sqlite';
/** Checkpoints often enough that each kind of crash around one occurs many times. */
const BUSY = 'PRAGMA wal_autocheckpoint = 24;';
const SEED = 20_260_101;

let scratch: string;
before(async () => {
  scratch = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'billet-power-'));
});
after(() => rm(scratch, { recursive: true }));

async function record(name: string, pragmas: string): Promise<readonly DiskEvent[]> {
  const directory = join(scratch, name);
  await mkdir(directory);
  return await recordTrace(directory, [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    CHILD,
    join(directory, FILE),
    pragmas,
  ]);
}

const at = (name: string): Pick<ReplayOptions, 'directory' | 'file' | 'seed'> => ({
  directory: join(scratch, `${name}-replay`),
  file: FILE,
  seed: SEED,
});
const DROPPED = { unsynced: 'dropped', sectorBytes: 4096, garbage: false } as const;
const KEPT = { unsynced: 'kept', sectorBytes: 4096, garbage: false } as const;
const torn = (sectorBytes: 512 | 4096, garbage: boolean) =>
  ({ unsynced: 'torn', sectorBytes, garbage }) as const;
const TORN = [torn(512, false), torn(4096, false), torn(512, true), torn(4096, true)];
/** Each time other sectors. */
const TORN_OFTEN = [...TORN, ...TORN, ...TORN];

const count = (events: readonly DiskEvent[], kind: DiskEvent['kind'], name?: RegExp) =>
  events.filter((one) => one.kind === kind && (!name || ('name' in one && name.test(one.name))))
    .length;

test('cut anywhere, with unsynced writes kept, dropped, torn or reordered, a store holds what it acknowledged', {
  timeout: 300_000,
}, async (t) => {
  const events = await record('full', BUSY);
  // The trace has in it what is dangerous: creation, growth, checkpoints, a closed and reopened file.
  assert.ok(count(events, 'create', /-wal$/) >= 2 && count(events, 'unlink', /-wal$/) >= 2);
  assert.ok(count(events, 'sync', /^store\.sqlite$/) >= 10, 'checkpoints');
  assert.ok(count(events, 'sync', /^$/) >= 2, 'the directory is synced');
  const result = await replay(events, { ...at('full'), ways: [DROPPED, KEPT, ...TORN_OFTEN] });
  t.diagnostic(`${events.length} events, ${result.cuts} cuts, ${result.images} different disks`);
  assert.deepEqual(result.failures, []);
  assert.ok(result.images > 4_000);
});

test('so it does with a log that grows and is never checkpointed but at the end', {
  timeout: 120_000,
}, async () => {
  const events = await record('growing', '');
  assert.ok(
    count(events, 'sync', /^store\.sqlite$/) <= 4,
    'at the close of each, and the creation',
  );
  const { failures } = await replay(events, {
    ...at('growing'),
    ways: [DROPPED, ...TORN],
    stride: 5,
  });
  assert.deepEqual(failures, []);
});

test('the same replay finds the half of a commit that no journal holds together', {
  timeout: 60_000,
}, async () => {
  const events = await record('memory', 'PRAGMA journal_mode = MEMORY;');
  const { failures } = await replay(events, { ...at('memory'), ways: TORN, failuresMax: 20 });
  assert.ok(
    failures.some((one) => /the entries at revision|malformed/.test(one)),
    failures.join('\n'),
  );
});

for (const level of ['NORMAL', 'OFF'])
  test(`the same replay finds what synchronous = ${level} loses`, { timeout: 60_000 }, async () => {
    const events = await record(level, `${BUSY} PRAGMA synchronous = ${level};`);
    const ways = [DROPPED, ...TORN];
    const { failures } = await replay(events, { ...at(level), ways, stride: 7, failuresMax: 5 });
    assert.equal(failures.length, 5);
    assert.ok(
      failures.some((one) => /acknowledged was/.test(one)),
      failures.join('\n'),
    );
  });

test('without the syncs of the directory, a new store may be gone', {
  timeout: 60_000,
}, async () => {
  const events = await record('directory', BUSY);
  const unsynced = events.filter((one) => one.kind !== 'sync' || one.name !== '');
  const { failures } = await replay(unsynced, {
    ...at('directory'),
    ways: [DROPPED],
    failuresMax: 1,
  });
  assert.match(failures[0] ?? '', /history id|acknowledged was/);
});
