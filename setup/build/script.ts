// A program that a person starts by hand: ends at Ctrl-C, and tells an error with its hint.

import { BilletError } from '#shared/errors.ts';

/** Runs `main` to its end; `signal` aborts at SIGINT and SIGTERM. Never rejects: the exit code is 1. */
export async function runScript(main: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => abort.abort());
  try {
    await main(abort.signal);
  } catch (error) {
    const hint = error instanceof BilletError ? `\nhint: ${error.hint}` : '';
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`error: ${message}${hint}\n`);
    process.exitCode = 1;
  }
}
