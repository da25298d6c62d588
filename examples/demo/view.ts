// What the demo shows: a line for each stage as it ends, and below it one live line while something
// lasts. On anything that is no terminal only the lines that end.

import type { Clock } from '#shared/clock.ts';
import type { CommandIo } from '../../cli/command-io.ts';
import { clean } from '../../cli/output.ts';
import { megabytes, type Progress, type Stage } from './timeline.ts';

export interface View {
  heading(text: string): void;
  /** A stage that has ended; seconds are shown from a tenth on. */
  done(title: string, detail: string, seconds: number | null): void;
  /** What goes on now; replaces the live line before it. */
  live(text: string, progress?: Progress | null): void;
  problem(text: string, hint: string): void;
  text(line: string): void;
  /** Removes the live line, gives the cursor back. */
  close(): void;
}

const REDRAW_MS = 125;
const BAR_COLUMNS = 24;
const PLAIN_REPORT_MS = 10_000;

export function terminalView(io: CommandIo): View {
  const paint = (code: string, text: string) =>
    io.colour ? `\u001b[${code}m${text}\u001b[0m` : text;
  const start = io.clock.monotonic();
  let current: { text: string; progress: Progress | null; since: number } | null = null;
  let plainReportAt = start;
  let frame = 0;

  const erase = () => io.interactive && io.stdout.write('\r\u001b[K');
  const line = (text: string) => {
    erase();
    io.stdout.write(`${text}\n`);
  };

  function draw(): void {
    if (!current) return;
    const { text, progress, since } = current;
    const now = io.clock.monotonic();
    const seconds = `${((now - since) / 1000).toFixed(0)} s`;
    if (!io.interactive) {
      if (now - plainReportAt < PLAIN_REPORT_MS) return;
      plainReportAt = now;
      const share = progress
        ? ` (${megabytes(progress.doneBytes)} of ${megabytes(progress.totalBytes)})`
        : '';
      const tail = `${share}, ${seconds}`;
      io.stdout.write(`  … ${clipped(text, io.columns - 4 - tail.length)}${tail}\n`);
      return;
    }
    const spinner = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'[frame++ % 10] ?? '';
    const tail = progress ? bar(progress) : seconds;
    const room = io.columns - 6 - tail.length;
    io.stdout.write(`\r\u001b[K  ${paint('36', spinner)} ${clipped(text, room)} ${tail}`);
  }
  const timer = setInterval(draw, REDRAW_MS);
  if (io.interactive) io.stdout.write('\u001b[?25l');

  return {
    heading: (text) => line(`\n${paint('1', text)}`),
    done(title, detail, seconds) {
      current = null;
      line(stageLine(title, detail, seconds, io.columns, paint));
    },
    live(text, progress = null) {
      const since = current?.text === text ? current.since : io.clock.monotonic();
      current = { text, progress, since };
    },
    problem(text, hint) {
      line(`  ${paint('31', '✗')} ${clean(text)}`);
      if (hint) line(`    ${paint('2', `hint: ${clean(hint)}`)}`);
    },
    text: (text) => line(text),
    close() {
      clearInterval(timer);
      erase();
      if (io.interactive) io.stdout.write('\u001b[?25h');
    },
  };
}

/** `  ✓ title        detail                 1.2 s`, at most `columns` wide. */
export function stageLine(
  title: string,
  detail: string,
  seconds: number | null,
  columns: number,
  paint: (code: string, text: string) => string = (_, text) => text,
): string {
  const right = seconds === null ? '' : `${seconds.toFixed(1)} s`.padStart(8);
  const titleWidth = Math.min(38, columns - 30);
  const detailWidth = columns - titleWidth - right.length - 6;
  const left = clipped(title, titleWidth).padEnd(titleWidth);
  const middle = clipped(detail, detailWidth).padEnd(detailWidth);
  return `  ${paint('32', '✓')} ${left} ${paint('2', middle)} ${right}`.trimEnd();
}

/** What does not fit ends with an ellipsis. */
function clipped(text: string, width: number): string {
  const safe = clean(text);
  return safe.length <= width ? safe : `${safe.slice(0, width - 1)}…`;
}

function bar({ doneBytes, totalBytes }: Progress): string {
  const share = totalBytes === 0 ? 0 : Math.min(1, doneBytes / totalBytes);
  const full = Math.round(share * BAR_COLUMNS);
  return `${'█'.repeat(full)}${'░'.repeat(BAR_COLUMNS - full)} ${megabytes(doneBytes)} of ${megabytes(totalBytes)}`;
}

/** Where the seconds went, as bars: the longest stage fills the width. */
export function chart(stages: readonly Stage[], columns: number): string[] {
  const longest = Math.max(...stages.map(({ seconds }) => seconds), 0.1);
  const width = columns - 52;
  return stages.map(({ title, seconds }) => {
    const length = Math.max(seconds >= 0.05 ? 1 : 0, Math.round((seconds / longest) * width));
    return `  ${title.slice(0, 38).padEnd(38)} ${seconds.toFixed(1).padStart(5)} s  ${'▇'.repeat(length)}`.trimEnd();
  });
}

export type Step = (title: string, detail: string) => void;

/** Ends a step with the seconds since the one before. */
export function stepper(view: View, clock: Clock): Step {
  let since = clock.monotonic();
  return (title, detail) => {
    const now = clock.monotonic();
    view.done(title, detail, (now - since) / 1000);
    since = now;
  };
}
