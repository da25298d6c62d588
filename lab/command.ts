// Runs `billet` in this process, as a person would on a command line, and reads its JSON.

import { Writable } from 'node:stream';
import { systemClock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { CommandIo } from '../cli/command-io.ts';
import { runBillet } from '../cli/program.ts';

export type Billet = (...args: readonly string[]) => Promise<unknown>;

/**
 * `billet` against the coordinator of the context file: the parsed output of one command. Throws
 * COMMAND_FAILED with what it wrote on stderr when the exit code is not 0.
 */
export function billetWith(context: string | null, signal: AbortSignal): Billet {
  return async (...args) => {
    const [out, err] = [collector(), collector()];
    const io: CommandIo = {
      stdout: out.stream,
      stderr: err.stream,
      clock: systemClock,
      colour: false,
      interactive: false,
      columns: 80,
      env: context === null ? {} : { BILLET_CONTEXT: context },
      signal,
    };
    const code = await runBillet([...args, '--json'], io);
    signal.throwIfAborted();
    if (code === 0) return JSON.parse(out.text());
    throw new BilletError('COMMAND_FAILED', `billet ${args.join(' ')}: ${err.text().trim()}`, {
      hint: 'run the same command by hand',
      details: { code },
    });
  };
}

function collector(): { stream: Writable; text(): string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}
