// Results as text for people, at most 80 columns. Measures nothing.

import { type BenchResult, type Figure, isMet } from './bench.ts';
import type { Machine } from './machine.ts';

const COLUMNS = 80;
const NAME = 40;
const VALUE = 13;
const TARGET = 14;
/** More than this is somebody else's work. */
const BUSY = 0.7;

/** What all figures have in common; the first lines of the output. */
export const headline = (machine: Machine, date: string): string =>
  [
    `Billet bench, ${date}`,
    `${machine.cores} × ${machine.model}, ${machine.memoryGib} GiB, Linux ${machine.kernel}, Node ${machine.node}`,
    ...(machine.load > BUSY
      ? [`load ${machine.load}: the machine is busy, expect less than it can do`]
      : []),
    '',
    row('figure', 'measured', 'target', ''),
    '-'.repeat(COLUMNS),
  ]
    .map((line) => line.slice(0, COLUMNS))
    .join('\n');

export function resultLines(result: BenchResult): string {
  const head = `${result.bench} (${result.seconds.toFixed(0)} s)`;
  if ('error' in result)
    return [head, ...wrapped(`failed: ${result.error}`), ...wrapped(`hint: ${result.hint}`)].join(
      '\n',
    );
  return [head, ...result.figures.flatMap(figureLines)].join('\n');
}

export function closing(results: readonly BenchResult[]): string {
  const figures = results.flatMap((result) => ('figures' in result ? result.figures : []));
  const count = (met: boolean): number => figures.filter((figure) => isMet(figure) === met).length;
  const failed = results.filter((result) => 'error' in result).length;
  const failures = failed === 0 ? '' : `, ${failed} benches failed`;
  return `targets: ${count(true)} met, ${count(false)} missed${failures}`;
}

function figureLines(figure: Figure): string[] {
  const { name, value, unit, target, yardstick, note } = figure;
  const aim =
    target === null ? '' : `${target.at === 'most' ? '≤' : '≥'} ${amount(target.value, unit)}`;
  const met = isMet(figure);
  const verdict = met === null ? '' : met ? 'met' : 'MISSED';
  const lines = [row(`  ${name}`, amount(value, unit), aim, verdict)];
  if (yardstick) lines.push(row(`    ${yardstick.name}`, amount(yardstick.value, unit), '', ''));
  if (note) lines.push(...wrapped(note));
  return lines;
}

function row(name: string, value: string, target: string, verdict: string): string {
  const left = name.length > NAME ? `${name}\n${''.padEnd(NAME)}` : name.padEnd(NAME);
  return `${left}${value.padStart(VALUE)}${target.padStart(TARGET)}  ${verdict}`.trimEnd();
}

/** Three digits that count. */
export function amount(value: number, unit: string): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  const [whole = '', fraction = ''] = value.toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${grouped}${fraction && `.${fraction}`} ${unit}`;
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '   ';
  for (const word of text.split(/\s+/)) {
    if (line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = '   ';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
