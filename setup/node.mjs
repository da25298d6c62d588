// Which Node runs this tree. Runs on any Node from 18 on, and decides nothing else.
// @ts-check

import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The oldest that runs the sources as they are: the same as `engines` in package.json. */
export const NODE_MINIMUM = '26.10.0';

/**
 * @param {string} version as in process.versions.node
 * @param {string} [minimum]
 */
export function isNodeNewEnough(version, minimum = NODE_MINIMUM) {
  const [ours, least] = [version, minimum].map((text) => text.split('.').map(Number));
  for (const [place, part] of (least ?? []).entries()) {
    const difference = (ours?.[place] ?? 0) - part;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/**
 * The Node that package-lock.json pins, else the one that runs now if it is new enough, else null.
 * @param {string} root of the tree
 */
export function findNode(root) {
  const locked = join(root, 'node_modules/.bin/node');
  if (existsSync(locked)) return locked;
  return isNodeNewEnough(process.versions.node) ? process.execPath : null;
}
