// Bundles parts of this tree into files that run anywhere, by esbuild. The same sources give the same
// bytes. Which parts, and where their files go, is decided elsewhere.

import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build, type Plugin } from 'esbuild';

const TREE = join(import.meta.dirname, '../..');

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

/** What is wrong is said in English: 300 KB of other languages are not parsed at each start. */
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

/** In the place of the tree's own version. */
const versioned = (version: string): Plugin => ({
  name: 'versioned',
  setup({ onLoad }) {
    onLoad({ filter: /\/shared\/version\.ts$/ }, () => ({
      contents: `export const VERSION=${JSON.stringify(version)}`,
    }));
  },
});

export interface BundleOptions {
  /** Entry in the tree by the name of its file, without the suffix `.mjs`. */
  readonly entries: Readonly<Record<string, string>>;
  /** What the files say their version is; the tree's without it. */
  readonly version?: string;
}

/** Writes one file for each entry into `dir`. Names of the npm packages that are in them, sorted. */
export async function writeBundle(dir: string, options: BundleOptions): Promise<string[]> {
  const { entries, version } = options;
  const { outputFiles, metafile } = await build({
    absWorkingDir: TREE,
    entryPoints: Object.entries(entries).map(([out, entry]) => ({ in: entry, out })),
    outdir: dir,
    outExtension: { '.js': '.mjs' },
    write: false,
    metafile: true,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    banner: { js: REQUIRE },
    plugins: [builtins, oneLanguage, ...(version === undefined ? [] : [versioned(version)])],
    // Shorter to fetch and to parse; names stay, for the sake of stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'error',
  });
  for (const { path, contents } of outputFiles) await writeFile(path, contents);
  const names = Object.keys(metafile.inputs).flatMap(
    (input) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? [],
  );
  return [...new Set(names)].sort();
}
