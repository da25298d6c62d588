// What a command may touch besides its arguments, so that tests run it without a process.

import type { Clock } from '#shared/clock.ts';

export interface CommandIo {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Read only by commands that say so; the process's own where it is left out. */
  readonly stdin?: NodeJS.ReadStream;
  readonly clock: Clock;
  /** Whether escape sequences are welcome on stdout. */
  readonly colour: boolean;
  /** Whether stderr is a terminal, so that progress may redraw a line. */
  readonly interactive: boolean;
  /** Columns of the terminal; 80 elsewhere. */
  readonly columns: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}
