import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ModuleName } from '#shared/schema/module.ts';
import { openJournal, readJournal } from './journal.ts';
import { journalOrAnew } from './recover-journal.ts';

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-journal-'));
  path = join(dir, 'journal');
});
afterEach(() => rm(dir, { recursive: true }));

const [web, dns] = [ModuleName.parse('web'), ModuleName.parse('dns')];

async function written(): Promise<Buffer> {
  const journal = await openJournal(path);
  await journal.begin(web);
  await journal.done(web);
  await journal.begin(dns);
  await journal.begin(web);
  await journal.close();
  return await readFile(path);
}

async function unfinished(): Promise<readonly string[]> {
  const journal = await openJournal(path);
  await journal.close();
  return journal.unfinished;
}

test('what had begun is found again until it is done, also by the life after the next', async () => {
  await written();
  assert.deepEqual(await unfinished(), ['dns', 'web']);
  const journal = await openJournal(path);
  assert.deepEqual(journal.unfinished, ['dns', 'web']);
  await journal.done(dns);
  assert.deepEqual(journal.unfinished, ['web']);
  await journal.close();
  assert.deepEqual(await unfinished(), ['web']);
});

test('cut off at any byte, it opens with what was whole, and goes on', async () => {
  const bytes = await written();
  for (let length = 0; length <= bytes.length; length++) {
    const whole = bytes.subarray(0, length).toString('latin1').split('\n').length - 2;
    const { records } = readJournal(bytes.subarray(0, length), path);
    assert.equal(records.length, Math.max(0, whole), `cut at ${length}`);
    await writeFile(path, bytes.subarray(0, length));
    const journal = await openJournal(path);
    await journal.begin(dns);
    await journal.done(web);
    await journal.close();
    assert.deepEqual(await unfinished(), ['dns'], `cut at ${length}`);
  }
});

test('each byte flipped is JOURNAL_CORRUPT and leaves the file, or a torn end', async () => {
  const bytes = await written();
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 0x20, at);
    await writeFile(path, damaged);
    // Without its newline the last record is one that was being written.
    if (at === bytes.length - 1) assert.deepEqual(await unfinished(), ['dns']);
    else {
      await assert.rejects(openJournal(path), { code: 'JOURNAL_CORRUPT' }, `byte ${at}`);
      assert.deepEqual(await readFile(path), damaged);
    }
  }
});

test('a corrupt journal is set aside, and the agent goes on and says so', async () => {
  await writeFile(path, 'something else\n');
  const { journal, damage } = await journalOrAnew(path);
  assert.deepEqual(journal.unfinished, []);
  assert.deepEqual(
    damage.map(({ code, hint }) => [code, /damaged/.test(hint)]),
    [['JOURNAL_CORRUPT', true]],
  );
  assert.equal(await readFile(`${path}.damaged`, 'utf8'), 'something else\n');
  await journal.close();
});

test('it does not grow for ever, and what is unfinished is never lost by that', async () => {
  const journal = await openJournal(path);
  await journal.begin(dns);
  for (let round = 0; round < 900; round++) {
    await journal.begin(web);
    await journal.done(web);
  }
  await journal.begin(web);
  await journal.close();
  assert.ok((await stat(path)).size < 70 * 1024);
  assert.deepEqual(await unfinished(), ['dns', 'web']);
});
