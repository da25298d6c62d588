// Puts the npm packages of package-lock.json under node_modules, if they are not there. Runs on any
// Node from 18 on. Never changes package.json or the lock file.
// @ts-check

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runWithProgress } from './process.mjs';

/** Holds the hash of the lock file that node_modules was made from; gone when node_modules is. */
const STAMP = 'node_modules/.billet-lock';

/**
 * @param {string} root of the tree
 * @returns {boolean} whether node_modules is what the lock file says
 */
export function npmPackagesCurrent(root) {
  const stamp = join(root, STAMP);
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === lockHash(root);
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>} exit code of `npm ci`
 */
export async function installNpmPackages(root, env) {
  const { code, output } = await runWithProgress(
    'npm packages (npm ci)',
    ['npm', 'ci', '--prefix', root, '--no-audit', '--no-fund', '--loglevel=error'],
    { env: withoutTree(root, env) },
  );
  if (code === 0) writeFileSync(join(root, STAMP), lockHash(root));
  else process.stderr.write(output);
  return code;
}

/** @param {string} root */
const lockHash = (root) =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');

/**
 * npm ci deletes node_modules, so npm must not run on the Node that lies there.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 */
const withoutTree = (root, env) => ({
  ...env,
  PATH: (env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== join(root, 'node_modules/.bin'))
    .join(delimiter),
});
