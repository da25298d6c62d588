// Bundles the agent into files that run anywhere: one for its commands, and a small one for each kind
// of thread that it starts. The same sources give the same bytes.

import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build, type Plugin } from 'esbuild';

const TREE = join(import.meta.dirname, '../..');

/** By name beside each other: the agent looks for its threads in its own folder. */
const ENTRIES = {
  agent: 'agent/main.ts',
  'journal-thread': 'agent/drivers/journal-thread-main.ts',
  'object-thread': 'agent/store/object-thread-main.ts',
};

export const AGENT_FILES = Object.keys(ENTRIES).map((name) => `${name}.mjs`);

/** Some of the libraries call `require` for node: modules, which ESM does not have. */
const REQUIRE =
  "const require=process.getBuiltinModule('node:module').createRequire(import.meta.url);";

/**
 * An import of node:http reads all of its exports, WebSocket too, and so loads a second undici. Asked
 * for as an object it does not; likewise for the rest.
 */
const builtins: Plugin = {
  name: 'builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }));
    onLoad({ filter: /^/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports=process.getBuiltinModule(${JSON.stringify(path)})`,
    }));
  },
};

/** The agent says what is wrong in English: 300 KB of other languages are not parsed at each start. */
const oneLanguage: Plugin = {
  name: 'one-language',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/locales\/index\.js$/ }, ({ resolveDir, path }) =>
      resolveDir.includes('/zod/') ? { path: join(resolveDir, path), namespace: 'locales' } : null,
    );
    onLoad({ filter: /^/, namespace: 'locales' }, ({ path }) => ({
      contents: "export{default as en}from'./en.js'",
      resolveDir: dirname(path),
    }));
  },
};

/** Writes AGENT_FILES into a folder. */
export async function writeAgent(dir: string): Promise<void> {
  const { outputFiles } = await build({
    absWorkingDir: TREE,
    entryPoints: Object.entries(ENTRIES).map(([out, entry]) => ({ in: entry, out })),
    outdir: dir,
    outExtension: { '.js': '.mjs' },
    write: false,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    banner: { js: REQUIRE },
    plugins: [builtins, oneLanguage],
    // Shorter to fetch and to parse; names stay, for the sake of stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'error',
  });
  for (const { path, contents } of outputFiles) await writeFile(path, contents);
}
