// `npm run demo` and `npm test` on a machine that has nothing but git and a Node with npm: installs
// what is missing, says what and why, and hands over to the Node that package-lock.json pins.
// Usage: node setup/run.mjs demo|test|bench|package [ARGUMENTS]. Exit code 3: something has to be installed
// by a person first; else the exit code of what was run.
// @ts-check

import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installDebianPackages, installedPackages } from './debian.mjs';
import { findNode, NODE_MINIMUM } from './node.mjs';
import { installNpmPackages, npmPackagesCurrent } from './npm.mjs';
import { installCommand, missingPackages, PACKAGES } from './packages.mjs';
import { handOver } from './process.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const USAGE = 2;
const NEEDS_A_PERSON = 3;

/** What runs under the locked Node, by purpose. */
const PROGRAMS = {
  demo: 'examples/demo/main.ts',
  test: 'setup/test.ts',
  bench: 'bench/main.ts',
  package: 'setup/package/main.ts',
  'hardware-smoke': 'examples/hardware-smoke/main.ts',
};

/**
 * @param {string | undefined} purpose
 * @param {readonly string[]} args
 * @returns {Promise<number>}
 */
async function main(purpose, args) {
  if (!isPurpose(purpose)) {
    say(`usage: node setup/run.mjs ${Object.keys(PROGRAMS).join('|')} [ARGUMENTS]`);
    return USAGE;
  }
  // Debian's first: npm runs install scripts on the locked Node, which needs libatomic1.
  const code = await ensureDebianPackages(purpose);
  if (code !== 0) return code;
  if (!npmPackagesCurrent(root)) {
    const code = await installNpmPackages(root, process.env);
    if (code !== 0) return failed('the npm packages could not be installed', 'npm ci', code);
  }
  const node = findNode(root);
  if (node === null) {
    say(`error: Billet needs Node ${NODE_MINIMUM} or newer; this is ${process.versions.node}`);
    say('hint: on x86-64 Linux `npm ci` brings it; elsewhere install it from your system');
    return NEEDS_A_PERSON;
  }
  const program = join(root, PROGRAMS[purpose]);
  if (!existsSync(program)) {
    say(`error: ${PROGRAMS[purpose]} is not in this tree`);
    return USAGE;
  }
  // node:ffi says that it is experimental: nobody who runs this can do anything about it.
  const quiet = '--disable-warning=ExperimentalWarning';
  return await handOver([node, quiet, program, ...args], { ...process.env, PATH: path() });
}

/**
 * @param {string | undefined} word
 * @returns {word is import('./packages.mjs').Purpose}
 */
const isPurpose = (word) => word !== undefined && Object.hasOwn(PROGRAMS, word);

/**
 * @param {import('./packages.mjs').Purpose} purpose
 * @returns {Promise<number>} 0 when all of them are there
 */
async function ensureDebianPackages(purpose) {
  const installed = installedPackages(PACKAGES.map((row) => row.name));
  if (installed === null) {
    say('note: this is no Debian system; the programs of these packages have to be there:');
    for (const row of missingPackages(PACKAGES, purpose, new Set())) explain(row);
    return 0;
  }
  const missing = missingPackages(PACKAGES, purpose, installed);
  if (missing.length === 0) return 0;
  say(`Debian packages that \`${purpose}\` needs and that are not installed:`);
  for (const row of missing) explain(row);
  if (process.getuid?.() !== 0) {
    say('error: only root can install them; run this once:');
    process.stdout.write(`${installCommand(missing)}\n`);
    return NEEDS_A_PERSON;
  }
  const code = await installDebianPackages(missing, process.env);
  return code === 0
    ? 0
    : failed('the Debian packages could not be installed', installCommand(missing), code);
}

/** @param {{ name: string, why: string }} row */
const explain = ({ name, why }) => say(`  ${name.padEnd(24)}${why}`);

/**
 * @param {string} message
 * @param {string} command
 * @param {number} code
 */
function failed(message, command, code) {
  if (code < 128) say(`error: ${message}\nhint: see above; by hand it is: ${command}`);
  return code;
}

/** Puts the locked Node and the tools of the tree first. */
const path = () => [join(root, 'node_modules/.bin'), process.env.PATH ?? ''].join(delimiter);

/** @param {string} line */
const say = (line) => process.stderr.write(`${line}\n`);

process.exitCode = await main(process.argv[2], process.argv.slice(3));
