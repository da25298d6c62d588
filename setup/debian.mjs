// Finds out which Debian packages are missing, and installs them as root. Runs on any Node from 18
// on. Nothing is installed that the table does not name, and nothing without saying why.
// @ts-check

import { spawnSync } from 'node:child_process';
import { runWithProgress } from './process.mjs';

/** @typedef {import('./packages.mjs').DebianPackage} DebianPackage */

/**
 * The packages among `names` that are installed, or null where there is no dpkg.
 * @param {readonly string[]} names
 * @returns {ReadonlySet<string> | null}
 */
export function installedPackages(names) {
  const { error, stdout } = spawnSync(
    'dpkg-query',
    ['--show', '--showformat', `\${Package} \${db:Status-Status}\\n`, ...names],
    { encoding: 'utf8' },
  );
  return error ? null : parseInstalled(stdout);
}

/**
 * @param {string} stdout lines of `package status`
 * @returns {ReadonlySet<string>}
 */
export const parseInstalled = (stdout) =>
  new Set(
    stdout
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, status]) => status === 'installed')
      .map(([name = '']) => name),
  );

/**
 * A word for a line of apt's status file descriptor (apt's README.progress-reporting).
 * @param {string} line
 */
export function aptStatus(line) {
  const found = /^(dl|pm)status:[^:]*:([\d.]+):/.exec(line);
  return found
    ? `${found[1] === 'dl' ? 'download' : 'unpack'} ${Math.round(Number(found[2]))} %`
    : null;
}

/**
 * @param {readonly DebianPackage[]} packages
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>} exit code of apt-get
 */
export async function installDebianPackages(packages, env) {
  const names = packages.map((row) => row.name);
  const quiet = { ...env, DEBIAN_FRONTEND: 'noninteractive' };
  /** @returns {Promise<import('./process.mjs').Outcome>} */
  const install = () =>
    runWithProgress(
      `Debian packages (${names.length})`,
      ['apt-get', 'install', '-y', '--no-install-recommends', '-o', 'APT::Status-Fd=3', ...names],
      { env: quiet, status: aptStatus },
    );

  let updated = false;
  if (!canResolve(names, quiet)) {
    await update(quiet);
    updated = true;
  }
  let outcome = await install();
  // A list that names packages which the mirror has replaced since.
  if (outcome.code !== 0 && !updated) {
    await update(quiet);
    outcome = await install();
  }
  if (outcome.code !== 0) process.stderr.write(outcome.output);
  return outcome.code;
}

/**
 * Whether the package lists that are here name everything.
 * @param {readonly string[]} names
 * @param {NodeJS.ProcessEnv} env
 */
const canResolve = (names, env) =>
  spawnSync('apt-get', ['install', '--simulate', '--no-install-recommends', ...names], {
    env,
    stdio: 'ignore',
  }).status === 0;

/** @param {NodeJS.ProcessEnv} env */
async function update(env) {
  const { code, output } = await runWithProgress(
    'Debian package lists (apt-get update)',
    ['apt-get', 'update'],
    { env },
  );
  if (code !== 0) process.stderr.write(output);
}
