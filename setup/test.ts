// Runs everything that `npm test` promises: the check first, then the suites that start real peers
// or go through long loops, then those that start machines, most of them beside others, and a table of
// minutes. Arguments choose suites by a part of their name.

import { globSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { systemClock } from '#shared/clock.ts';
import { handOver, runAside } from './process.mjs';
import { closingLines, inTurns, type SuiteResult, selectSuites } from './suites.ts';

const root = dirname(import.meta.dirname);
process.chdir(root);

const suitesOf = (kind: 'peer' | 'vm') =>
  globSync(`{initramfs,test/*}/*.${kind}.ts`)
    .sort()
    .map((file) => ({
      name: basename(file, `.${kind}.ts`),
      argv: [process.execPath, '--test', '--test-reporter=spec', join(root, file)] as const,
      kind,
    }));
const all = [
  { name: 'check', argv: ['npm', 'run', '--silent', 'check'] as const, kind: 'check' },
  ...suitesOf('peer'),
  ...suitesOf('vm'),
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
let begun = 0;
/** Ctrl-C: what runs is told, and cleans up; the rest is not started. */
let stopped = false;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => {
    stopped = true;
  });

/** What a suite has mounted is gone with its last process, however that ended (mount_namespaces(7)). */
const withOwnMounts = (argv: readonly [string, ...string[]]): readonly [string, ...string[]] =>
  process.getuid?.() === 0
    ? ['unshare', '--mount', '--propagation', 'private', '--', ...argv]
    : argv;

/** One processor for each of two machines that run at once (lab/power.ts). */
const MACHINES_ENV = { ...process.env, BILLET_LAB_CPUS: '1' };

async function run(suite: (typeof all)[number], aside: boolean): Promise<void> {
  const env = suite.kind === 'vm' ? MACHINES_ENV : process.env;
  begun += 1;
  const title = `=== ${suite.name} (${begun} of ${chosen.length})`;
  process.stdout.write(`\n${title}${aside ? ', beside another' : ''}\n`);
  const start = systemClock.monotonic();
  const argv = withOwnMounts(suite.argv);
  const { code, output } = aside
    ? await runAside(argv, env)
    : { code: await handOver(argv, env), output: '' };
  if (aside) process.stdout.write(`\n${title}, ended with ${code}\n${output}`);
  results.push({ name: suite.name, code, ms: systemClock.monotonic() - start });
}

const start = systemClock.monotonic();
for (const { lanes, suites } of inTurns(chosen)) {
  const waiting = [...suites];
  const lane = async () => {
    for (let suite = waiting.shift(); suite && !stopped; suite = waiting.shift())
      await run(suite, lanes > 1);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

const total = systemClock.monotonic() - start;
process.stdout.write(closingLines(results, all.length, total));
process.exitCode = results.every(({ code }) => code === 0) && !stopped ? 0 : 1;
