// Builds the files of the example modules: from a recipe folder to a tar of its layer. A recipe is
//
//   module.json   the label, as `billet module seal` takes it
//   packages      Debian packages, if it has any; what they need comes along
//   files/        laid over the root
//   finish.sh     makes the Debian root into the module's, if there are packages
//
// Seals and signs nothing: that is for `billet module`.

import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { cached, fileDigest, treeDigest } from '../../setup/build/cache.ts';
import { buildDebianRoot, type DebianRoot } from '../../setup/build/debian-root.ts';
import { run } from '../../setup/build/drivers/run.ts';
import { SOURCE_DATE_EPOCH } from '../../setup/build/epoch.ts';

export const RECIPES = ['base', 'tools', 'web'] as const;
export type RecipeName = (typeof RECIPES)[number];

/** What the base module takes from the build of the boot image, so that both have one kernel. */
export interface NodeParts {
  /** A root with /usr/lib/modules/<release>. */
  readonly kernelRoot: string;
  readonly kernelRelease: string;
  /** Node without symbols. */
  readonly node: string;
  /** The folder with the agent's files. */
  readonly agentDir: string;
}

export interface RecipeContext {
  readonly cacheDir: string;
  readonly clock: Clock;
  readonly aptLines: readonly string[];
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

const here = import.meta.dirname;
const UNITS = join(here, '../../systemd');

/** The label's source of a recipe. */
export const moduleJson = (name: RecipeName): string => join(here, name, 'module.json');

/** Path of the layer's tar; built once for the same recipe, packages and parts. */
export async function buildLayer(
  name: RecipeName,
  parts: NodeParts,
  context: RecipeContext,
): Promise<string> {
  const folder = join(here, name);
  const debian = await debianRootOf(name, folder);
  const inputs = {
    recipe: await treeDigest(folder),
    ...(debian ? { debian: JSON.stringify(debian), archives: context.aptLines.join('\n') } : {}),
    ...(name === 'base' ? await partInputs(parts) : {}),
  };
  const entry = await cached(context, `layer-${name}`, inputs, async (dir) => {
    if (debian) {
      const base = await cached(
        context,
        `debian-${name}`,
        { debian: JSON.stringify(debian), archives: context.aptLines.join('\n') },
        (to) => buildDebianRoot(to, debian, context),
      );
      await run(['cp', '-a', '--reflink=auto', join(base, 'root'), join(dir, 'root')], context);
      await run(['bash', join(folder, 'finish.sh'), join(dir, 'root')], {
        signal: context.signal,
        onLine: context.progress,
        environment: environmentOf(folder, parts),
      });
    }
    await packTar(
      debian ? join(dir, 'root') : join(folder, 'files'),
      join(dir, 'layer.tar'),
      context.signal,
    );
    await rm(join(dir, 'root'), { recursive: true, force: true });
  });
  return join(entry, 'layer.tar');
}

async function debianRootOf(name: RecipeName, folder: string): Promise<DebianRoot | null> {
  const list = join(folder, 'packages');
  if (!existsSync(list)) return null;
  const packages = (await readFile(list, 'utf8'))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  return { variant: name === 'base' ? 'minbase' : 'extract', packages };
}

const partInputs = async ({ kernelRoot, kernelRelease, node, agentDir }: NodeParts) => ({
  kernel: `${kernelRelease} ${kernelRoot}`,
  node: await fileDigest(node),
  agent: await treeDigest(agentDir),
  units: await treeDigest(UNITS),
});

const environmentOf = (folder: string, parts: NodeParts) => ({
  BILLET_FILES: join(folder, 'files'),
  BILLET_NODE: parts.node,
  BILLET_AGENT: parts.agentDir,
  BILLET_UNITS: UNITS,
  BILLET_KERNEL: parts.kernelRoot,
  BILLET_RELEASE: parts.kernelRelease,
});

/** The same tree gives the same bytes: names sorted, numeric owners, no time after the epoch. */
export async function packTar(root: string, target: string, signal: AbortSignal): Promise<void> {
  const fromTree = root.endsWith('/files') ? ['--owner=0', '--group=0', '--mode=u=rwX,go=rX'] : [];
  await run(
    [
      'tar',
      '--create',
      '--file',
      target,
      '--directory',
      root,
      '--format=pax',
      '--pax-option=delete=atime,delete=ctime',
      '--sort=name',
      '--numeric-owner',
      '--xattrs',
      '--xattrs-include=*',
      `--mtime=@${SOURCE_DATE_EPOCH}`,
      '--clamp-mtime',
      ...fromTree,
      '--exclude=./dev/*',
      '--exclude=./proc/*',
      '--exclude=./sys/*',
      '--exclude=./run/*',
      '--exclude=./tmp/*',
      '.',
    ],
    { signal },
  );
}
