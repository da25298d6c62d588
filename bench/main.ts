// `npm run bench`: measures, prints a table or JSON, and cleans up, also after Ctrl-C. Asserts
// nothing: a missed target is a line in the table, and the exit code stays 0.

import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { cacheDirOf } from '#shared/build-cache.ts';
import { systemClock } from '#shared/clock.ts';
import { type Artifacts, prepareArtifacts } from '../lab/artifacts.ts';
import { type BenchResult, type Figure, isMet } from './bench.ts';
import { BENCHES, chosenBenches } from './benches.ts';
import { thisMachine } from './machine.ts';
import { runBench } from './run.ts';
import { closing, headline, resultLines } from './table.ts';

const USAGE = `Usage: npm run bench [-- [--json] [--list] [--full] [--dir DIR] [WORD…]]

  WORD     only the benches with one of the words in their name: compose, link, boot …
  --json   one JSON document instead of the table
  --list   names of the benches
  --full   also those that take many minutes
  --dir    where to measure files and commits: a directory on a disk (default: ${tmpdir()})
`;
const INTERRUPTED = 130;
const BAD_USAGE = 2;

const interrupt = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => interrupt.abort());

process.exitCode = await main();

async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === 'number') return options;
  const benches = chosenBenches(options.words, options.full);
  if (options.list || benches.length === 0) {
    if (benches.length === 0) say(`error: no bench has ${options.words.join(' or ')} in its name`);
    for (const { name } of options.list ? benches : BENCHES) process.stdout.write(`${name}\n`);
    return benches.length === 0 ? BAD_USAGE : 0;
  }
  const machine = thisMachine();
  const date = new Date(systemClock.now()).toISOString();
  if (!options.json) print(headline(machine, date.slice(0, 10)));
  let made: Promise<Artifacts> | null = null;
  const prepare = (): Promise<Artifacts> => {
    made ??= prepareArtifacts({ ...context, cacheDir: cacheDirOf(process.env) });
    return made;
  };
  const context = { clock: systemClock, signal: interrupt.signal, progress: say };
  const results: BenchResult[] = [];
  try {
    for (const bench of benches) {
      const result = await runBench(bench, { ...context, workDir: options.dir, prepare });
      results.push(result);
      if (!options.json) print(resultLines(result));
    }
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    say('Stopped. Nothing is left running.');
    return INTERRUPTED;
  }
  if (options.json)
    print(JSON.stringify({ date, machine, results: withVerdicts(results) }, null, 2));
  else print(`\n${closing(results)}`);
  return results.some((result) => 'error' in result) ? 1 : 0;
}

function withVerdicts(results: readonly BenchResult[]) {
  const judged = (figure: Figure) => ({ ...figure, met: isMet(figure) });
  return results.map((result) =>
    'figures' in result ? { ...result, figures: result.figures.map(judged) } : result,
  );
}

/** What the command line asks for, or an exit code. */
function readOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        full: { type: 'boolean', default: false },
        dir: { type: 'string', default: tmpdir() },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (!values.help) return { ...values, words: positionals };
    process.stdout.write(USAGE);
    return 0;
  } catch (error) {
    say(`error: ${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    return BAD_USAGE;
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
