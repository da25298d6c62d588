// A CommandIo for tests: writes into strings, and takes a terminal's width.

import { Writable } from 'node:stream';
import { systemClock } from '#shared/clock.ts';
import type { CommandIo } from './command-io.ts';
import { runBillet } from './program.ts';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `billet` in this process, as on no terminal. */
export async function billet(
  args: readonly string[],
  options: Partial<Pick<CommandIo, 'env' | 'columns' | 'signal'>> = {},
): Promise<Ran> {
  const [stdout, stderr] = [sink(), sink()];
  const code = await runBillet(args, {
    stdout: stdout.stream,
    stderr: stderr.stream,
    clock: systemClock,
    colour: false,
    interactive: false,
    columns: 80,
    env: {},
    signal: new AbortController().signal,
    ...options,
  });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

function sink(): { stream: Writable; text(): string } {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return { stream, text: () => text };
}
