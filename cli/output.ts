// What commands print: tables and listings for people that fit the terminal, JSON for programs.
// Text from nodes and registries is cleaned here: it can neither move the cursor nor forge a line.

import type { CommandIo } from './command-io.ts';

export interface Column<T> {
  readonly header: string;
  value(row: T): string;
  /** Cut first when the line is too long; columns without it are cut only when nothing else helps. */
  readonly shrinks?: boolean;
}

const GAP = 2;
const NARROWEST = 6;

/** Control characters (C0, DEL, C1), separators and bidirectional overrides become `?`. */
export const clean = (text: string): string => text.replace(UNSAFE, '?');

const UNSAFE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** The same JSON, with what JSON leaves as it is and a terminal obeys (C1, bidirectional) escaped. */
export const jsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(UNSAFE, (c) =>
    c === '\n' ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** The same for a text of several lines; tabs stay. */
export const cleanLines = (text: string): readonly string[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t').map(clean).join('\t'));

/** JSON with `json`, else the lines. */
export function emit(
  io: CommandIo,
  json: boolean,
  value: unknown,
  lines: () => readonly string[],
): void {
  const text = json ? jsonText(value, 2) : lines().join('\n');
  if (text !== '') io.stdout.write(`${text}\n`);
}

/** One line a row under a line of headers, none longer than `width`; `none` when there is no row. */
export function table<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  width: number,
  none: string,
): readonly string[] {
  if (rows.length === 0) return [none];
  const cells = [
    columns.map(({ header }) => header),
    ...rows.map((row) => columns.map((column) => clean(column.value(row)))),
  ];
  const natural = columns.map((_, i) => Math.max(...cells.map((line) => lengthOf(line[i] ?? ''))));
  const widths = fit(
    natural,
    columns.map(({ shrinks }) => shrinks === true),
    width,
  );
  return cells.map((line) =>
    line
      .map((text, i) => cut(text, widths[i] ?? 0).padEnd(widths[i] ?? 0))
      .join(' '.repeat(GAP))
      .trimEnd(),
  );
}

/**
 * `key  value` lines. A value that is too long goes on in the next line; words (digests, paths) are
 * never broken, so that they can be copied: one that is too long beside its key stands below it.
 */
export function listing(
  pairs: readonly (readonly [string, string])[],
  width: number,
): readonly string[] {
  const keyWidth = Math.max(...pairs.map(([key]) => key.length)) + GAP;
  const room = width - keyWidth;
  return pairs.flatMap(([key, value]) => {
    const lines = value.split('\n').flatMap((line) => wrap(clean(line), room));
    const [first = '', ...more] = lines.map((line) =>
      line.length > room ? `${' '.repeat(GAP)}${line}` : `${' '.repeat(keyWidth)}${line}`,
    );
    const beside = (lines[0]?.length ?? 0) <= room;
    return beside
      ? [`${key.padEnd(keyWidth)}${first.slice(keyWidth)}`.trimEnd(), ...more]
      : [key, first, ...more];
  });
}

/** The algorithm and the first twelve digits: enough for people to tell digests apart. */
export const shortDigest = (digest: string): string => digest.slice(0, 'sha256:'.length + 12);

/** How long ago, in the largest unit of which there are two or more; `-` for never. */
export function ago(timestamp: string | null, nowMs: number): string {
  if (timestamp === null) return '-';
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(timestamp)) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 120 * 60) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Bytes in binary units: `41.5 MiB`. */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = count < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** Takes columns from the widest that may shrink, then from the widest, until they fit. */
function fit(natural: readonly number[], shrinks: readonly boolean[], width: number): number[] {
  const widths = [...natural];
  const excess = () => widths.reduce((sum, w) => sum + w, GAP * (widths.length - 1)) - width;
  for (const willing of [true, false])
    while (excess() > 0) {
      const widest = Math.max(
        ...widths.filter((w, i) => w > NARROWEST && (!willing || shrinks[i] === true)),
      );
      if (!Number.isFinite(widest)) break;
      const at = widths.findIndex((w, i) => w === widest && (!willing || shrinks[i] === true));
      widths[at] = widest - 1;
    }
  return widths;
}

const lengthOf = (text: string) => [...text].length;

const cut = (text: string, width: number) =>
  lengthOf(text) <= width ? text : `${[...text].slice(0, width - 1).join('')}…`;

/** Lines of at most `width` characters, broken at spaces only. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' '))
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  return [...lines, line];
}
