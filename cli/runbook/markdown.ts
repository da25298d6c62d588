// Markdown from values that others wrote: none of them can begin a heading, close a code span or add a
// column. Text only.

import { clean } from '../output.ts';

/** On one line, as it is to be read. */
export const plain = (text: string): string =>
  clean(text.replaceAll(/\s+/g, ' ')).replaceAll(/[\\`*_[\]<>|#]/g, '\\$&');

/** A code span around a text without backticks. */
export const code = (text: string): string =>
  text === '' ? '' : `\`${clean(text.replaceAll(/\s+/g, ' ')).replaceAll('`', "'")}\``;

/** Lines of commands to be copied. */
export const commands = (...lines: readonly string[]): string =>
  ['```sh', ...lines.map((line) => clean(line).replaceAll('`', "'")), '```'].join('\n');

/** A table; what `none` says when there is no row. Cells are Markdown already. */
export function grid(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
  none: string,
): string {
  if (rows.length === 0) return none;
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll(/(?<!\\)\|/g, '\\|')).join(' | ')} |`;
  return [line(headers), line(headers.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Sections with a line between each; empty ones are left out. */
export const joined = (...parts: readonly string[]): string =>
  parts.filter((part) => part !== '').join('\n\n');
