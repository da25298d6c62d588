// `billet` as a process: real streams, clock, terminal and signals around runBillet.

import { systemClock } from '#shared/clock.ts';
import type { CommandIo } from './command-io.ts';
import { runBillet } from './program.ts';

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    interrupt.abort();
  });

// A reader that has seen enough (`billet … | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const io: CommandIo = {
  stdout: process.stdout,
  stderr: process.stderr,
  clock: systemClock,
  colour: process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb',
  interactive: process.stderr.isTTY === true && process.env.TERM !== 'dumb',
  columns: process.stdout.columns ?? 80,
  env: process.env,
  signal: interrupt.signal,
};

const code = await runBillet(process.argv.slice(2), io);
// Agent and coordinator set it themselves when they end badly.
if (code !== 0) process.exitCode = code;
