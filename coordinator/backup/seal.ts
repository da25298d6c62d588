// The envelope of a backup: the first two lines, and the payload's encryption under a passphrase. Knows
// nothing of what the payload is.
//
//   key    = scrypt(passphrase in UTF-8, salt, n, r, p), 32 bytes (RFC 7914)
//   chunks of 65,536 bytes, the last one of 0 to 65,536; each is AES-256-GCM, followed by its tag of 16
//   nonce  = number of the chunk from 0, 11 bytes big-endian; then 1 in the last chunk, else 0
//   associated data of each chunk = the first two lines
//
// The last chunk is marked, and each is at its place, or it does not decrypt: STREAM, Hoang, Reyhanitabar,
// Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (2015).

import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { byteReader, damaged, MAGIC } from './format.ts';

const CHUNK_BYTES = 65_536;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
/** 64 MiB and about a quarter of a second. */
const COST = { n: 65_536, r: 8, p: 1 };
type Cost = typeof COST;
/** A file may not ask for more memory than this: 128 · n · r. */
const MEMORY_BYTES_MAX = 256 * 1024 * 1024;

const Encryption = z.strictObject({
  kdf: z.literal('scrypt'),
  n: z.int().min(1024),
  r: z.int().min(1).max(32),
  p: z.int().min(1).max(16),
  salt: z.base64().max(128),
  cipher: z.literal('aes-256-gcm'),
});
type Encryption = z.infer<typeof Encryption>;
const Envelope = z.strictObject({ encryption: Encryption.nullable() });

/** The whole file of a payload; encrypted unless `passphrase` is null. */
export async function* sealBackup(
  payload: AsyncIterable<Uint8Array>,
  passphrase: string | null,
  cost: Cost = COST,
): AsyncGenerator<Uint8Array> {
  const salt = randomBytes(16).toString('base64');
  const encryption: Encryption | null =
    passphrase === null ? null : { kdf: 'scrypt', ...cost, salt, cipher: 'aes-256-gcm' };
  const head = Buffer.from(`${MAGIC}${JSON.stringify({ encryption })}\n`);
  yield head;
  if (passphrase === null || encryption === null) return yield* payload;
  const key = await keyOf(passphrase, encryption);
  let counter = 0;
  const seal = (plain: Uint8Array, isLast: boolean): Buffer => {
    const cipher = createCipheriv('aes-256-gcm', key, nonceOf(counter++, isLast)).setAAD(head);
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  };
  for await (const { bytes, isLast } of pieces(payload, CHUNK_BYTES)) yield seal(bytes, isLast);
}

/**
 * The payload of a file. BACKUP_INVALID; PASSPHRASE_WRONG when it is encrypted and `passphrase` is null
 * or another one. What was yielded before an error is authentic, but not all.
 */
export async function* openBackup(
  file: AsyncIterable<Uint8Array>,
  passphrase: string | null,
): AsyncGenerator<Uint8Array> {
  const reader = byteReader(file);
  const first = Buffer.concat(await Array.fromAsync(reader.bytes(MAGIC.length)));
  if (first.toString('latin1') !== MAGIC) throw damaged('it does not begin as one');
  const line = await reader.line();
  const { encryption } = envelopeOf(line);
  if (encryption === null) return yield* reader.remainder();
  if (passphrase === null) throw wrong('the backup is encrypted');
  const head = Buffer.from(`${MAGIC}${line}\n`);
  const key = await keyOf(passphrase, encryption);
  let counter = 0;
  for await (const { bytes, isLast } of pieces(reader.remainder(), CHUNK_BYTES + TAG_BYTES)) {
    if (bytes.length < TAG_BYTES) throw damaged('it ends too early');
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(counter, isLast))
      .setAAD(head)
      .setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      yield Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]);
    } catch (cause) {
      if (counter === 0) throw wrong('its first part does not decrypt', cause);
      throw damaged(`part ${counter} does not decrypt`, cause);
    }
    counter += 1;
  }
}

function envelopeOf(line: string): z.infer<typeof Envelope> {
  try {
    const envelope = Envelope.parse(JSON.parse(line));
    const { n = 0, r = 0 } = envelope.encryption ?? {};
    if (128 * n * r <= MEMORY_BYTES_MAX) return envelope;
  } catch (cause) {
    throw damaged('its second line cannot be read', cause);
  }
  throw damaged('its key would take too much memory to make');
}

const keyOf = (passphrase: string, { n, r, p, salt }: Encryption): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const cost = { N: n, r, p, maxmem: 2 * MEMORY_BYTES_MAX };
    scrypt(passphrase, Buffer.from(salt, 'base64'), KEY_BYTES, cost, (error, key) =>
      error === null ? resolve(key) : reject(damaged('its key cannot be made', error)),
    );
  });

function nonceOf(counter: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(counter, 5, 6);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

/** Pieces of `size` bytes; the last one, which may be shorter, is known as such. At least one. */
async function* pieces(chunks: AsyncIterable<Uint8Array>, size: number) {
  let waiting: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    waiting.push(chunk);
    length += chunk.length;
    if (length <= size) continue;
    const bytes = Buffer.concat(waiting);
    let at = 0;
    for (; length - at > size; at += size)
      yield { bytes: bytes.subarray(at, at + size), isLast: false };
    waiting = [bytes.subarray(at)];
    length -= at;
  }
  yield { bytes: Buffer.concat(waiting), isLast: true };
}

const wrong = (why: string, cause?: unknown) =>
  new BilletError('PASSPHRASE_WRONG', `the backup cannot be opened: ${why}`, {
    hint: 'name the file with the passphrase it was made with: --passphrase-file FILE',
    cause,
  });
