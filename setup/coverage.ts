// `npm run coverage [-- [--all] [--lcov FILE] [WORD…]]`: which lines of the sources no test reaches, as text.
// The tests of the check, or those with a word in their path; with --all those of the peers too, which need what `npm test` installs and
// take minutes. Judges nothing: the exit code is that of the tests.

import { globSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { handOver } from './process.mjs';

process.chdir(dirname(import.meta.dirname));

const SOURCES = '{agent,cli,coordinator,initramfs,setup,shared}/**/*.{ts,mjs}';
/** What only tests use, and the table of what they cover would not be of the sources. */
const OF_TESTS = [
  '**/*.{test,peer,vm}.ts',
  '**/*-{fixture,child}.ts',
  '**/{testing,contract}*.ts',
  '**/*-testing.ts',
  '**/testdata/**',
];
const CHECK = '{agent,bench,cli,coordinator,examples,initramfs,lab,setup,shared,test}/**/*.test.ts';
const PEERS = 'test/*/*.peer.ts';
/** As the check runs them. */
const AT_ONCE = 3;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { all: { type: 'boolean', default: false }, lcov: { type: 'string' } },
});
const globs = [CHECK, ...(values.all ? [PEERS] : [])];
const isChosen = (file: string) =>
  positionals.length === 0 || positionals.some((word) => file.includes(word));
const files = globs.flatMap((glob) => globSync(glob).filter(isChosen)).sort();
const reporter = (name: string, to: string) => [
  `--test-reporter=${name}`,
  `--test-reporter-destination=${to}`,
];

process.exitCode = await handOver(
  [
    process.execPath,
    '--test',
    `--test-concurrency=${AT_ONCE}`,
    '--experimental-test-coverage',
    '--test-coverage-include-all',
    `--test-coverage-include=${SOURCES}`,
    ...OF_TESTS.map((glob) => `--test-coverage-exclude=${glob}`),
    ...reporter('spec', 'stdout'),
    ...(values.lcov === undefined ? [] : reporter('lcov', values.lcov)),
    ...files,
  ],
  process.env,
);
