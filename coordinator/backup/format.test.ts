import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { type BackupFile, type BackupHeader, readPayload, writePayload } from './format.ts';
import { openBackup, sealBackup } from './seal.ts';

const HEADER: BackupHeader = {
  billet: '0.1.0',
  at: '2026-11-21T12:00:00.000Z',
  history: 'a'.repeat(32),
  revision: 7,
  ca: sha256('ca'),
  registry: { included: false, blobs: [{ digest: sha256('blob'), sizeBytes: 4 }] },
  leftOut: ['machines'],
};
const PASSPHRASE = 'correct horse battery staple';
const CHEAP = { n: 1024, r: 8, p: 1 };
const BIG = Buffer.alloc(200_000, 'billet ');
const FILES: readonly (readonly [string, Buffer])[] = [
  ['ca/ca.key', Buffer.from('-----BEGIN')],
  ['empty', Buffer.alloc(0)],
  ['store.sqlite', BIG],
];

async function* inPieces(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function* files(): AsyncGenerator<BackupFile> {
  for (const [path, bytes] of FILES)
    yield { path, sizeBytes: bytes.length, bytes: inPieces(bytes, 30_000) };
}

const fileOf = async (passphrase: string | null) =>
  Buffer.concat(
    await Array.fromAsync(sealBackup(writePayload(HEADER, files()), passphrase, CHEAP)),
  );

async function read(file: Uint8Array, passphrase: string | null, pieceBytes = 65_536) {
  const found: { header?: BackupHeader; files: [string, Buffer][] } = { files: [] };
  await readPayload(openBackup(inPieces(file, pieceBytes), passphrase), {
    async header(header) {
      found.header = header;
    },
    async file(path, bytes) {
      found.files.push([path, Buffer.concat(await Array.fromAsync(bytes))]);
    },
  });
  return found;
}

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => 'whole',
    (error) => {
      assert.ok(error instanceof BilletError, String(error));
      assert.notEqual(error.hint, '');
      return error.code;
    },
  );

for (const passphrase of [null, PASSPHRASE])
  test(`what was written is read, in whatever pieces it comes (${passphrase ? 'encrypted' : 'plain'})`, async () => {
    const file = await fileOf(passphrase);
    assert.equal(file.includes('BEGIN'), passphrase === null);
    for (const pieceBytes of [file.length, 65_536, 997]) {
      const found = await read(file, passphrase, pieceBytes);
      assert.deepEqual(found, { header: HEADER, files: FILES });
    }
  });

test('a byte that is another, anywhere, makes it no backup', async () => {
  for (const passphrase of [null, PASSPHRASE]) {
    const file = await fileOf(passphrase);
    const places = [...Array(12).keys()].map((n) => Math.floor((n * (file.length - 1)) / 11));
    for (const at of [...places, 20, 400]) {
      const other = Buffer.from(file);
      other[at] = (other[at] ?? 0) ^ 1;
      const code = await codeOf(read(other, passphrase));
      assert.match(code, /^(BACKUP_INVALID|PASSPHRASE_WRONG)$/, `byte ${at}`);
    }
  }
});

test('a file that was cut short, or has more than its end, is no backup', async () => {
  for (const passphrase of [null, PASSPHRASE]) {
    const file = await fileOf(passphrase);
    const heads = file.indexOf('\n', 20) + 1;
    const chunks = passphrase === null ? [] : [heads + 65_552, heads + 2 * 65_552];
    for (const length of [0, 10, 16, heads, ...chunks, file.length - 1]) {
      const code = await codeOf(read(file.subarray(0, length), passphrase));
      assert.match(code, /^(BACKUP_INVALID|PASSPHRASE_WRONG)$/, `${length} bytes`);
    }
    assert.notEqual(
      await codeOf(read(Buffer.concat([file, Buffer.from('x')]), passphrase)),
      'whole',
    );
  }
});

test('chunks that change places do not decrypt', async () => {
  const file = await fileOf(PASSPHRASE);
  const heads = file.indexOf('\n', 20) + 1;
  const chunk = (n: number) => file.subarray(heads + n * 65_552, heads + (n + 1) * 65_552);
  const swapped = Buffer.concat([file.subarray(0, heads), chunk(0), chunk(2), chunk(1), chunk(3)]);
  assert.equal(swapped.length, file.length);
  assert.equal(await codeOf(read(swapped, PASSPHRASE)), 'BACKUP_INVALID');
});

test('another passphrase, or none, is PASSPHRASE_WRONG; no passphrase is needed for a plain one', async () => {
  const file = await fileOf(PASSPHRASE);
  assert.equal(await codeOf(read(file, 'another one')), 'PASSPHRASE_WRONG');
  assert.equal(await codeOf(read(file, null)), 'PASSPHRASE_WRONG');
  assert.equal(await codeOf(read(await fileOf(null), PASSPHRASE)), 'whole');
});

test('a key that would take gigabytes is not made', async () => {
  const encryption = {
    kdf: 'scrypt',
    n: 2 ** 24,
    r: 32,
    p: 1,
    salt: 'AAAA',
    cipher: 'aes-256-gcm',
  };
  const file = Buffer.from(`BILLET-BACKUP 1\n${JSON.stringify({ encryption })}\n`);
  assert.equal(await codeOf(read(file, PASSPHRASE)), 'BACKUP_INVALID');
});

test('a file that changes its size while it is read is CONTENDED', async () => {
  async function* lying(): AsyncGenerator<BackupFile> {
    yield { path: 'x', sizeBytes: 9, bytes: inPieces(Buffer.from('short'), 9) };
  }
  assert.equal(await codeOf(Array.fromAsync(writePayload(HEADER, lying()))), 'CONTENDED');
});
