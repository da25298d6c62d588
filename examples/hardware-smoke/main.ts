// `npm run hardware-smoke`: a blank machine of QEMU is installed from the ISO and boots from its disk,
// watched and judged as hardware is; the evidence is in work/hardware-smoke/latest. Arguments are those
// of `billet hardware-smoke run`.

import { systemClock } from '#shared/clock.ts';
import { runBillet } from '../../cli/program.ts';

const interrupt = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(name, () => interrupt.abort());

const words = ['hardware-smoke', 'run', '--transport', 'qemu', ...process.argv.slice(2)];
process.exitCode = await runBillet(words, {
  stdout: process.stdout,
  stderr: process.stderr,
  clock: systemClock,
  colour: process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb',
  interactive: process.stdout.isTTY === true && process.env.TERM !== 'dumb',
  columns: process.stdout.columns ?? 80,
  env: process.env,
  signal: interrupt.signal,
});
