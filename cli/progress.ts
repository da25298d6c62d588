// Progress of what takes long: one line that is redrawn on a terminal, a line now and then elsewhere.
// Always on stderr, so that stdout stays for the result.

import type { CommandIo } from './command-io.ts';
import { bytes, clean } from './output.ts';

export interface Progress {
  /** Bytes done so far. */
  update(done: number): void;
  /** Removes the bar and leaves one line that says what was done. */
  end(text: string): void;
}

/** A line of its own, whatever was being drawn. */
export const sayAside = (io: CommandIo, text: string): void => {
  io.stderr.write(`${io.interactive ? '\r\u001b[K' : ''}${clean(text)}\n`);
};

const REDRAW_MS = 100;
const REPORT_MS = 5000;
const BAR = 24;

/** A bar for `total` bytes of `title`. */
export function startProgress(io: CommandIo, title: string, total: number): Progress {
  const start = io.clock.monotonic();
  // Elsewhere than on a terminal, what is quick needs no line but the last.
  let last = io.interactive ? Number.NEGATIVE_INFINITY : start;
  const draw = (done: number) => {
    const share = total === 0 ? 1 : Math.min(1, done / total);
    const percent = `${Math.round(share * 100)} %`.padStart(5);
    const full = Math.round(share * BAR);
    const line = io.interactive
      ? `\r\u001b[K${clean(title)} [${'#'.repeat(full)}${'-'.repeat(BAR - full)}]${percent} of ${bytes(total)}`
      : `${clean(title)}${percent} of ${bytes(total)}\n`;
    io.stderr.write(line);
  };
  return {
    update(done) {
      const now = io.clock.monotonic();
      if (now - last < (io.interactive ? REDRAW_MS : REPORT_MS)) return;
      last = now;
      draw(done);
    },
    end(text) {
      const seconds = ((io.clock.monotonic() - start) / 1000).toFixed(1);
      sayAside(io, `${text}, ${seconds} s`);
    },
  };
}

/** One line of state that is replaced by the next: for waiting. */
export function startStatus(io: CommandIo): { say(text: string): void; end(): void } {
  let last = '';
  return {
    say(text) {
      if (text === last) return;
      last = text;
      io.stderr.write(io.interactive ? `\r\u001b[K${clean(text)}` : `${clean(text)}\n`);
    },
    end() {
      if (io.interactive && last !== '') io.stderr.write('\r\u001b[K');
    },
  };
}
