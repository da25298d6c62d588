import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { openJournal, readJournal } from './journal.ts';
import { journalOrAnew } from './recover-journal.ts';
import { testModule } from './testing.ts';
import { testClock } from './testing-loop.ts';

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-journal-'));
  path = join(dir, 'journal');
});
afterEach(() => rm(dir, { recursive: true }));

const { ref } = testModule('web', { version: '1.0.0', description: 'ümlaut' });
const pull = { kind: 'pull-module', module: ref } as const;
const attach = { kind: 'attach-service', module: ref, settings: { text: 'ü\n"' } } as const;

async function written(): Promise<Buffer> {
  const journal = await openJournal(path);
  await journal.begin(3, pull);
  await journal.done();
  await journal.begin(3, attach);
  await journal.close();
  return await readFile(path);
}

test('the step that had begun is found again; one that ended is not', async () => {
  await written();
  const journal = await openJournal(path);
  assert.deepEqual(journal.openStep, attach);
  await journal.close();
});

test('cut off at any byte, what was whole is read', async () => {
  const bytes = await written();
  const whole = (length: number) =>
    bytes.subarray(0, length).toString('latin1').split('\n').length - 2;
  for (let length = 0; length <= bytes.length; length++) {
    const { records } = readJournal(bytes.subarray(0, length), path);
    assert.equal(records.length, Math.max(0, whole(length)), `cut at ${length}`);
  }
});

test('cut off anywhere, it opens, and goes on', async () => {
  const bytes = await written();
  for (const length of [0, 5, 16, 17, 18, 60, 200, bytes.length - 30, bytes.length - 1]) {
    await writeFile(path, bytes.subarray(0, length));
    const journal = await openJournal(path);
    await journal.begin(4, pull);
    await journal.done();
    await journal.close();
    const again = await openJournal(path);
    assert.equal(again.openStep, null, `cut at ${length}`);
    await again.close();
  }
});

test('a last record that is partly zeros, as after a power cut, was never begun', async () => {
  const bytes = await written();
  await writeFile(path, Buffer.from(bytes).fill(0, bytes.length - 60, bytes.length - 1));
  const journal = await openJournal(path);
  assert.equal(journal.openStep, null);
  await journal.close();
});

test('a flipped byte before the last record is JOURNAL_CORRUPT, and the file stays as it is', async () => {
  const bytes = await written();
  const lastLine = bytes.lastIndexOf('\n', bytes.length - 2) + 1;
  for (let at = 0; at < lastLine; at++) {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 0x20, at);
    await writeFile(path, damaged);
    await assert.rejects(openJournal(path), { code: 'JOURNAL_CORRUPT' }, `byte ${at}`);
    assert.deepEqual(await readFile(path), damaged);
  }
});

test('a corrupt journal is set aside, and the agent goes on with a condition', async () => {
  await writeFile(path, 'something else\n');
  const { journal, conditions } = await journalOrAnew(path, testClock);
  assert.equal(journal.openStep, null);
  assert.deepEqual(
    conditions.map(({ code }) => code),
    ['JOURNAL_CORRUPT'],
  );
  assert.equal(await readFile(`${path}.corrupt.${testClock.now()}`, 'utf8'), 'something else\n');
  await journal.close();
});

test('it does not grow for ever, and an open step is never lost by that', async () => {
  const journal = await openJournal(path);
  for (let round = 0; round < 900; round++) {
    await journal.begin(round, attach);
    await journal.done();
  }
  await journal.begin(900, pull);
  await journal.close();
  assert.ok((await stat(path)).size < 300 * 1024);
  const again = await openJournal(path);
  assert.deepEqual(again.openStep, pull);
  await again.close();
});
