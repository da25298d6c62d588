// Which services are in the middle of being attached or detached: written before the step begins, so
// that a life that dies in it leaves a trace. It lies where what it tells of lies, on tmpfs: mounts,
// units and run files go with the boot, and so does it. Append only, one line a record; a torn last
// line is what a crash leaves, anything else unreadable is an error.
//
//   billet-journal 2
//   <crc32 of the rest, 8 hex digits> {"event":"begin","name":"web"}
//   <crc32> {"event":"done","name":"web"}

import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { ModuleName } from '#shared/schema/module.ts';
import { diskError } from '../drivers/disk-error.ts';
import { readFileOrNull, writeFileAtomic } from '../drivers/files.ts';

const HEADER = 'billet-journal 2';
/** Past this, the journal starts anew with what is unfinished. */
const COMPACT_BYTES = 64 * 1024;

const JournalRecord = z.object({ event: z.enum(['begin', 'done']), name: ModuleName });
export type JournalRecord = z.infer<typeof JournalRecord>;

export interface Journal {
  /** Begun and not done, in this life or in one that died: what is there of it is not known. */
  readonly unfinished: readonly ModuleName[];
  /** On file when it resolves. Throws STORE_FULL or STORE_FAILED: then the step has not begun. */
  begin(name: ModuleName): Promise<void>;
  /** All of the step is in its place. Throws STORE_FULL or STORE_FAILED: then it counts as unfinished. */
  done(name: ModuleName): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens or creates the journal. A torn end is cut off. Throws JOURNAL_CORRUPT when a record before
 * the last cannot be read, and leaves the file as it is.
 */
export async function openJournal(path: string): Promise<Journal> {
  const bytes = await readFileOrNull(path);
  const { records, validBytes } = bytes === null ? EMPTY : readJournal(bytes, path);
  const unfinished = new Set<ModuleName>();
  for (const record of records) follow(unfinished, record);
  // Also where the crash came before the header was whole.
  if (bytes === null || bytes.length < validBytes) await disk(() => writeAnew(path, unfinished));
  let file = await open(path, 'r+');
  let end = validBytes;
  await disk(() => file.truncate(end));

  async function append(record: JournalRecord): Promise<void> {
    const line = Buffer.from(lineOf(record));
    try {
      for (let done = 0; done < line.length; )
        done += (await file.write(line, done, line.length - done, end + done)).bytesWritten;
      await file.datasync();
    } catch (error) {
      // What is there of it is no record. Shortening a file needs no space.
      await file.truncate(end);
      throw diskError(error, 'write the journal');
    }
    end += line.length;
    follow(unfinished, record);
  }

  async function startAnew(): Promise<void> {
    end = await disk(() => writeAnew(path, unfinished));
    const old: FileHandle = file;
    file = await open(path, 'r+');
    await old.close();
  }

  return {
    get unfinished() {
      return [...unfinished].sort();
    },
    begin: (name) => append({ event: 'begin', name }),
    async done(name) {
      await append({ event: 'done', name });
      if (end > COMPACT_BYTES) await startAnew();
    },
    close: () => file.close(),
  };
}

const EMPTY = { records: [] as JournalRecord[], validBytes: HEADER.length + 1 };

function follow(unfinished: Set<ModuleName>, { event, name }: JournalRecord): void {
  if (event === 'begin') unfinished.add(name);
  else unfinished.delete(name);
}

/** Its length in bytes. */
async function writeAnew(path: string, unfinished: Iterable<ModuleName>): Promise<number> {
  const lines = [...unfinished].map((name) => lineOf({ event: 'begin', name }));
  const text = [`${HEADER}\n`, ...lines].join('');
  await writeFileAtomic(path, text, { mode: 0o600 });
  return Buffer.byteLength(text);
}

async function disk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskError(error, 'write the journal');
  }
}

function lineOf(record: JournalRecord): string {
  const json = JSON.stringify(record);
  return `${checksum(json)} ${json}\n`;
}

const checksum = (text: string): string => crc32(text).toString(16).padStart(8, '0');

/** The records, and where the last whole one ends. Throws JOURNAL_CORRUPT. */
export function readJournal(
  bytes: Buffer,
  path: string,
): { records: JournalRecord[]; validBytes: number } {
  const lines = bytes.toString('latin1').split('\n');
  const torn = lines.pop() ?? '';
  if (lines.length === 0 && HEADER.startsWith(torn)) return EMPTY;
  if (lines[0] !== HEADER) throw corrupt(path, 1, `it does not start with "${HEADER}"`);
  const records: JournalRecord[] = [];
  let validBytes = HEADER.length + 1;
  for (const [index, line] of lines.entries()) {
    if (index === 0) continue;
    const record = recordOf(line);
    if (record === null) throw corrupt(path, index + 1, 'its checksum or form is wrong');
    records.push(record);
    validBytes += line.length + 1;
  }
  return { records, validBytes };
}

function recordOf(line: string): JournalRecord | null {
  const text = Buffer.from(line, 'latin1').toString('utf8');
  const json = text.slice(9);
  if (text[8] !== ' ' || text.slice(0, 8) !== checksum(json)) return null;
  return JournalRecord.safeParse(JSON.parse(json)).data ?? null;
}

function corrupt(path: string, line: number, why: string): BilletError {
  return new BilletError('JOURNAL_CORRUPT', `${path} line ${line}: ${why}`, {
    hint: `it is kept as ${path}.damaged, and the node observed anew; of a service that was being attached, something may be left over until the next boot`,
    details: { path, line },
  });
}
