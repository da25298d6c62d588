// The record of steps: what began and what is done, durable before the step runs. Append only, one
// line a record; a torn last line is what a crash leaves, anything else unreadable is an error.
//
//   billet-journal 1
//   <crc32 of the rest, 8 hex digits> {"seq":1,"event":"begin","generation":7,"step":{…}}
//   <crc32> {"seq":1,"event":"done"}

import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { readFileOrNull, writeFileAtomic } from '../drivers/files.ts';
import { Step } from './steps.ts';

const HEADER = 'billet-journal 1';
/** Past this, a journal without an open step starts anew. */
const COMPACT_BYTES = 256 * 1024;

const JournalRecord = z.discriminatedUnion('event', [
  z.object({
    event: z.literal('begin'),
    seq: z.int().positive(),
    generation: z.int().nonnegative(),
    step: Step,
  }),
  z.object({ event: z.literal('done'), seq: z.int().positive() }),
  z.object({ event: z.literal('failed'), seq: z.int().positive(), code: z.string() }),
]);
export type JournalRecord = z.infer<typeof JournalRecord>;

export interface Journal {
  /** The step that had begun and has no end, as the file was opened. */
  readonly openStep: Step | null;
  /** Durable when it resolves. One step at a time. */
  begin(generation: number, step: Step): Promise<void>;
  done(): Promise<void>;
  failed(code: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens or creates the journal. A torn end is cut off. Throws JOURNAL_CORRUPT when a record before
 * the last cannot be read, and leaves the file as it is.
 */
export async function openJournal(path: string): Promise<Journal> {
  const bytes = await readFileOrNull(path);
  const { records, validBytes } = bytes === null ? EMPTY : readJournal(bytes, path);
  // Also where the crash came before the header was whole.
  if (bytes === null || bytes.length < validBytes) await writeHeader(path);
  let file = await open(path, 'r+');
  await file.truncate(validBytes);
  await file.sync();
  let end = validBytes;
  let seq = records.at(-1)?.seq ?? 0;
  // What an earlier life left open is superseded by the next step that begins.
  const openStep = openStepOf(records);
  let pending: Step | null = null;

  async function append(record: JournalRecord): Promise<void> {
    const line = lineOf(record);
    const { bytesWritten } = await file.write(line, end);
    await file.datasync();
    end += bytesWritten;
  }

  async function finish(record: JournalRecord): Promise<void> {
    await append(record);
    pending = null;
    if (end > COMPACT_BYTES) await startAnew();
  }

  async function startAnew(): Promise<void> {
    await writeHeader(path);
    const old: FileHandle = file;
    file = await open(path, 'r+');
    await old.close();
    end = HEADER.length + 1;
  }

  return {
    openStep,
    async begin(generation, step) {
      if (pending !== null)
        throw new BilletError('INTERNAL', 'a step began before the one before it had ended', {
          hint: 'report this with the output of `billet agent status --json`',
        });
      seq += 1;
      await append({ event: 'begin', seq, generation, step });
      pending = step;
    },
    done: () => finish({ event: 'done', seq }),
    failed: (code) => finish({ event: 'failed', seq, code }),
    close: () => file.close(),
  };
}

const EMPTY = { records: [] as JournalRecord[], validBytes: HEADER.length + 1 };

const writeHeader = (path: string) => writeFileAtomic(path, `${HEADER}\n`, { mode: 0o600 });

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
    // A page that never reached the disk reads as zeros.
    const unwritten = index === lines.length - 1 && torn === '' && line.includes('\0');
    if (record === null && unwritten) break;
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

function openStepOf(records: readonly JournalRecord[]): Step | null {
  const last = records.at(-1);
  return last?.event === 'begin' ? last.step : null;
}

function corrupt(path: string, line: number, why: string): BilletError {
  return new BilletError('JOURNAL_CORRUPT', `${path} line ${line}: ${why}`, {
    hint: `the disk may be failing; the file is set aside as ${path}.corrupt.<time>, and the node observed anew`,
    details: { path, line },
  });
}
