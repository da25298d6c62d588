// Runs everything that `npm test` promises: the check first, then the suites that start real peers
// or go through long loops, then each suite that starts machines, one after the other, and a table
// of minutes. Arguments choose suites by a part of their name.

import { globSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { systemClock } from '#shared/clock.ts';
import { handOver } from './process.mjs';
import { closingLines, type SuiteResult, selectSuites } from './suites.ts';

const root = dirname(import.meta.dirname);
process.chdir(root);

const suitesOf = (suffix: string) =>
  globSync(`{initramfs,test/*}/*${suffix}`)
    .sort()
    .map((file) => ({
      name: basename(file, suffix),
      argv: [process.execPath, '--test', '--test-reporter=spec', join(root, file)] as const,
    }));
const all = [
  { name: 'check', argv: ['npm', 'run', '--silent', 'check'] as const },
  ...suitesOf('.peer.ts'),
  ...suitesOf('.vm.ts'),
];
const chosen = selectSuites(all, process.argv.slice(2));
if (chosen.length === 0) {
  process.stderr.write(
    `error: no suite has one of these words in its name: ${process.argv.slice(2).join(' ')}\n`,
  );
  process.stderr.write(`hint: there are ${all.map(({ name }) => name).join(' ')}\n`);
  process.exit(2);
}
const results: SuiteResult[] = [];

for (const suite of chosen) {
  process.stdout.write(`\n=== ${suite.name} (${results.length + 1} of ${chosen.length})\n`);
  const start = systemClock.monotonic();
  const code = await handOver(suite.argv, process.env);
  results.push({ name: suite.name, code, ms: systemClock.monotonic() - start });
  // Ctrl-C: what runs has cleaned up; the rest is not started.
  if (code === 130 || code === 143) break;
}

process.stdout.write(closingLines(results, all.length));
process.exitCode = results.every(({ code }) => code === 0) ? 0 : 1;
