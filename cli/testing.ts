// A CommandIo for tests: writes into strings, and takes a terminal's width. Imported by tests only.

import { Writable } from 'node:stream';
import { systemClock } from '#shared/clock.ts';
import type { CommandIo } from './command-io.ts';
import { runBillet } from './program.ts';

export interface TestIo {
  readonly io: CommandIo;
  stdout(): string;
  stderr(): string;
}

/** As on no terminal, unless `options` say otherwise. */
export function testIo(options: Partial<CommandIo> = {}): TestIo {
  const [out, err] = [sink(), sink()];
  const io: CommandIo = {
    stdout: out.stream,
    stderr: err.stream,
    clock: systemClock,
    colour: false,
    interactive: false,
    columns: 80,
    env: {},
    signal: new AbortController().signal,
    ...options,
  };
  return { io, stdout: out.text, stderr: err.text };
}

/** Runs `billet` in this process. */
export async function billet(
  args: readonly string[],
  options: Partial<CommandIo> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { io, stdout, stderr } = testIo(options);
  const code = await runBillet(args, io);
  return { code, stdout: stdout(), stderr: stderr() };
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
