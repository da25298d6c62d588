// Bundles the agent into one file, for the initramfs and for the system image. The same sources give
// the same bytes.

import { join } from 'node:path';
import { build } from 'esbuild';

/** esbuild's ESM output has no `require`; some of the libraries call it for node: modules. */
const REQUIRE = "import{createRequire as $r}from'node:module';const require=$r(import.meta.url);";

const TREE = join(import.meta.dirname, '../..');

/** Writes `entry` (default: the agent) and all that it imports to `file`. */
export async function bundleAgent(file: string, entry = 'agent/main.ts'): Promise<void> {
  await build({
    absWorkingDir: TREE,
    entryPoints: [entry],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    banner: { js: REQUIRE },
    // Shorter to fetch and to parse; names stay, for the sake of stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'error',
  });
}
