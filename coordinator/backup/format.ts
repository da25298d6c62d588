// The backup file, billet-backup/1, as bytes. Reads and writes what it is given; knows no directory and
// no store.
//
//   BILLET-BACKUP 1\n
//   {"encryption":null}\n                   or how the payload is encrypted: seal.ts
//   payload, encrypted as a whole or not at all:
//     {"billet":"0.1.0","history":…}\n      BackupHeader
//     {"path":"ca/ca.key","sizeBytes":241}\n, as many bytes, {"digest":"sha256:…"}\n    for each file
//     {"files":7,"digest":"sha256:…"}\n     of every byte of the payload before this line; then nothing
//
// A line is JSON in UTF-8. Nothing counts before the last line is there and fits.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { Digest, digestOfHex } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { jsonOf } from '#shared/json.ts';
import { Timestamp } from '#shared/schema/ids.ts';

export const MAGIC = 'BILLET-BACKUP 1\n';
/** The longest line: a header that names 100,000 blobs. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;

export const BackupHeader = z.strictObject({
  /** Version that wrote it. */
  billet: z.string().max(64),
  at: Timestamp,
  /** Of the store, and the revision as of which it is complete. */
  history: z.string().min(1).max(64),
  revision: z.int().nonnegative(),
  /** Fingerprint of the CA that issues. */
  ca: Digest,
  registry: z.strictObject({
    included: z.boolean(),
    /** What the registry held, whether it is included or not. */
    blobs: z.array(z.strictObject({ digest: Digest, sizeBytes: z.int().nonnegative() })),
  }),
  /** What else lay in the state directory and is not in here. */
  leftOut: z.array(z.string()),
});
export type BackupHeader = z.infer<typeof BackupHeader>;

const FileLine = z.strictObject({ path: z.string().max(1024), sizeBytes: z.int().nonnegative() });
const DigestLine = z.strictObject({ digest: Digest });
const EndLine = z.strictObject({ files: z.int().nonnegative(), digest: Digest });

export interface BackupFile {
  /** Relative, with /. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Exactly `sizeBytes`. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** The payload. Throws INTERNAL when a file has not the size that was said. */
export async function* writePayload(
  header: BackupHeader,
  files: AsyncIterable<BackupFile>,
): AsyncGenerator<Uint8Array> {
  const whole = createHash('sha256');
  let count = 0;
  const line = (value: object): Buffer => Buffer.from(`${JSON.stringify(value)}\n`);
  const told = (bytes: Uint8Array): Uint8Array => {
    whole.update(bytes);
    return bytes;
  };
  yield told(line(BackupHeader.parse(header)));
  for await (const { path, sizeBytes, bytes } of files) {
    yield told(line({ path, sizeBytes }));
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of bytes) {
      size += chunk.length;
      hash.update(chunk);
      yield told(chunk);
    }
    if (size !== sizeBytes)
      throw new BilletError('CONTENDED', `${path} had ${sizeBytes} bytes, and ${size} when read`, {
        hint: 'take the backup again',
      });
    yield told(line({ digest: `sha256:${hash.digest('hex')}` }));
    count += 1;
  }
  yield line({ files: count, digest: `sha256:${whole.digest('hex')}` });
}

export interface PayloadSink {
  /** Before any file. */
  header(header: BackupHeader): Promise<void>;
  /** Has read all of `bytes` when it resolves. */
  file(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void>;
}

/** Hands over what it reads; only when it resolves was it whole. BACKUP_INVALID. */
export async function readPayload(
  chunks: AsyncIterable<Uint8Array>,
  sink: PayloadSink,
): Promise<void> {
  const reader = byteReader(chunks);
  const whole = createHash('sha256');
  const header = parsed(BackupHeader, await reader.line(whole), 'header');
  await sink.header(header);
  for (let files = 0; ; files += 1) {
    const before = digestOfHex(whole.copy().digest('hex'));
    const text = await reader.line(whole);
    const file = FileLine.safeParse(jsonOf(text));
    if (!file.success) {
      const end = parsed(EndLine, text, 'end');
      if (end.files !== files || end.digest !== before) throw damaged('its digest is another one');
      if (!(await reader.isAtEnd())) throw damaged('something follows its end');
      return;
    }
    const { path, sizeBytes } = file.data;
    const hash = createHash('sha256');
    await sink.file(path, reader.bytes(sizeBytes, whole, hash));
    const { digest } = parsed(DigestLine, await reader.line(whole), `digest of ${path}`);
    if (digest !== digestOfHex(hash.digest('hex'))) throw damaged(`${path} is not what it was`);
  }
}

type Hash = ReturnType<typeof createHash>;

/** Lines and counted bytes of a stream, whatever pieces it comes in. */
export function byteReader(chunks: AsyncIterable<Uint8Array>) {
  const source = chunks[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);

  /** False at the end of the stream. */
  async function fill(): Promise<boolean> {
    const { done, value } = await source.next();
    if (done) return false;
    rest = rest.length === 0 ? Buffer.from(value) : Buffer.concat([rest, value]);
    return true;
  }

  const take = (count: number): Buffer => {
    const bytes = rest.subarray(0, count);
    rest = rest.subarray(count);
    return bytes;
  };

  return {
    /** Without its newline. */
    async line(...hashes: readonly Hash[]): Promise<string> {
      for (;;) {
        const at = rest.indexOf(0x0a);
        if (at >= 0) {
          const bytes = take(at + 1);
          for (const hash of hashes) hash.update(bytes);
          return bytes.toString('utf8').slice(0, -1);
        }
        if (rest.length > LINE_BYTES_MAX) throw damaged('a line has no end');
        if (!(await fill())) throw damaged('it ends too early');
      }
    },

    async *bytes(count: number, ...hashes: readonly Hash[]): AsyncGenerator<Buffer> {
      for (let left = count; left > 0; ) {
        if (rest.length === 0 && !(await fill())) throw damaged('it ends too early');
        const bytes = take(Math.min(left, rest.length));
        left -= bytes.length;
        for (const hash of hashes) hash.update(bytes);
        if (bytes.length > 0) yield bytes;
      }
    },

    async isAtEnd(): Promise<boolean> {
      while (rest.length === 0) if (!(await fill())) return true;
      return false;
    },

    /** What comes after what was read. */
    async *remainder(): AsyncGenerator<Uint8Array> {
      do {
        if (rest.length > 0) yield take(rest.length);
      } while (await fill());
    },
  };
}

export const damaged = (why: string, cause?: unknown) =>
  new BilletError('BACKUP_INVALID', `this is no whole backup: ${why}`, {
    hint: 'take another copy of the file, or an older backup; nothing was changed',
    cause,
  });

function parsed<T>(schema: z.ZodType<T>, text: string, what: string): T {
  const result = schema.safeParse(jsonOf(text));
  if (result.success) return result.data;
  throw damaged(`its ${what} cannot be read`, result.error);
}
