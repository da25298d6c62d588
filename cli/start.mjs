#!/usr/bin/env node
// The command `billet`, on whatever Node finds it: goes on with the Node that package-lock.json
// pins, or says which one is needed. Knows no command; imports nothing that needs a new Node.
// @ts-check

import { fileURLToPath } from 'node:url';
import { findNode, isNodeNewEnough, NODE_MINIMUM } from '../setup/node.mjs';
import { handOver } from '../setup/process.mjs';

const FAILED = 1;

if (isNodeNewEnough(process.versions.node)) await import('./main.ts');
else process.exitCode = await startOnLockedNode();

/** @returns {Promise<number>} exit code */
async function startOnLockedNode() {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const node = findNode(root);
  if (node !== null) {
    const main = fileURLToPath(new URL('main.ts', import.meta.url));
    return await handOver([node, main, ...process.argv.slice(2)], process.env);
  }
  process.stderr.write(
    `error: billet needs Node ${NODE_MINIMUM} or newer; this is ${process.versions.node}\n` +
      `hint: \`npm ci\` in ${root} brings it (x86-64 Linux), or install it from your system\n`,
  );
  return FAILED;
}
