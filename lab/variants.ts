// Other releases of the example modules, as an operator would make them: changed files, a changed
// label, or the same files under another label; sealed, and signed with any key.

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { moduleJson, packTar, type RecipeName } from '../examples/modules/recipe.ts';
import { run } from '../setup/build/drivers/run.ts';
import type { Billet } from './command.ts';

export interface Variant {
  readonly module: RecipeName;
  /** Tar of the release that it starts from. */
  readonly layer: string;
  /** Files by path, put in the place of what is there. */
  readonly files?: Readonly<Record<string, string>>;
  /** Fields of the label. */
  readonly label: Readonly<Record<string, unknown>>;
  /** Private key; unsigned with null. */
  readonly key: string | null;
}

/** Makes the release below `dir` and returns it as `oci:DIR:TAG`. */
export async function makeVariant(
  billet: Billet,
  variant: Variant,
  dir: string,
  signal: AbortSignal,
): Promise<string> {
  const work = await mkdtemp(join(dir, 'variant-'));
  const label = join(work, 'module.json');
  const source = JSON.parse(await readFile(moduleJson(variant.module), 'utf8')) as object;
  await writeFile(label, JSON.stringify({ ...source, ...variant.label }));
  const layer =
    variant.files === undefined ? variant.layer : await changedLayer(variant, work, signal);
  const image = `oci:${join(work, 'layout')}:stable`;
  await billet('module', 'pack', '--layer', layer, '--module', label, '-o', image);
  if (variant.key !== null)
    await billet('module', 'sign', image, '--key', variant.key, '--identity', variant.module);
  return image;
}

async function changedLayer(
  { layer, files = {} }: Variant,
  work: string,
  signal: AbortSignal,
): Promise<string> {
  const root = join(work, 'root');
  await mkdir(root);
  await run(
    [
      'tar',
      '--extract',
      '--file',
      layer,
      '--directory',
      root,
      '--numeric-owner',
      '--preserve-permissions',
      '--xattrs',
      '--xattrs-include=*',
    ],
    { signal },
  );
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const tar = join(work, 'layer.tar');
  await packTar(root, tar, signal);
  await rm(root, { recursive: true });
  return tar;
}
