// Bundles the agent into one file, for the initramfs and for the system image. The same sources give
// the same bytes.

import { join } from 'node:path';
import { build } from 'esbuild';
import { BilletError } from '#shared/errors.ts';

/** esbuild's ESM output has no `require`; some of the libraries call it for node: modules. */
const REQUIRE = "import{createRequire as $r}from'node:module';const require=$r(import.meta.url);";

const TREE = join(import.meta.dirname, '../..');

const ENTRY = 'agent/main.ts';

/** The bytes of the agent and of all that it imports. */
export async function bundleAgent(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    absWorkingDir: TREE,
    entryPoints: [ENTRY],
    write: false,
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
  const [file] = outputFiles;
  if (file !== undefined) return file.contents;
  throw new BilletError('INTERNAL', `esbuild made nothing of ${ENTRY}`, {
    hint: 'look at setup/build/agent-bundle.ts',
  });
}
