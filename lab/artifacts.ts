// Everything that a fleet of the lab runs on, built from nothing but Debian and this tree: boot image,
// modules in signed layouts, and the key and trust policy that tie them together. Built once for the
// same inputs; the key is made once and stays in the cache.

import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { buildLayer, moduleJson, RECIPES, type RecipeName } from '../examples/modules/recipe.ts';
import { type BootImage, buildBootImage } from '../initramfs/build.ts';
import { hostTrixieLines } from '../setup/build/apt-sources.ts';
import { cached, fileDigest } from '../setup/build/cache.ts';
import { type Billet, billetWith } from './command.ts';

export interface LabContext {
  readonly cacheDir: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

export interface SigningFiles {
  /** PEM, mode 0600. */
  readonly privateKey: string;
  readonly publicKey: string;
  /** JSON: enforce, every module, this key. */
  readonly policy: string;
}

export interface Artifacts {
  readonly boot: BootImage;
  /** `oci:DIR:TAG` of each module, sealed and signed. */
  readonly modules: Readonly<Record<RecipeName, string>>;
  /** Tar of the files of each module. */
  readonly layers: Readonly<Record<RecipeName, string>>;
  readonly keys: SigningFiles;
}

export async function prepareArtifacts(context: LabContext): Promise<Artifacts> {
  const keys = await signingFiles(join(context.cacheDir, 'keys'), context.signal);
  const boot = await buildBootImage({ ...context, trustPolicy: keys.policy });
  const modules: Partial<Record<RecipeName, string>> = {};
  const layers: Partial<Record<RecipeName, string>> = {};
  for (const name of RECIPES) {
    layers[name] = await layerOf(name, boot, context);
    modules[name] = await signedModule(name, layers[name], keys, context);
  }
  return {
    boot,
    modules: modules as Record<RecipeName, string>,
    layers: layers as Record<RecipeName, string>,
    keys,
  };
}

/** A key pair, and the policy that trusts it for every module; made at the first call. */
async function signingFiles(dir: string, signal: AbortSignal): Promise<SigningFiles> {
  const prefix = join(dir, 'signing');
  const files = {
    privateKey: `${prefix}.key`,
    publicKey: `${prefix}.pub`,
    policy: join(dir, 'trust-policy.json'),
  };
  if (existsSync(files.policy)) return files;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if (!existsSync(files.privateKey)) await billetWith(null, signal)('module', 'keygen', prefix);
  const policy = {
    format: 1,
    mode: 'enforce',
    rules: [{ modules: ['*'], keys: [await readFile(files.publicKey, 'utf8')] }],
  };
  await writeFile(files.policy, `${JSON.stringify(policy, null, 2)}\n`);
  return files;
}

async function layerOf(name: RecipeName, boot: BootImage, context: LabContext): Promise<string> {
  const parts = {
    kernelRoot: boot.bootRoot.root,
    kernelRelease: boot.kernelRelease,
    node: boot.bootRoot.node,
    agentDir: boot.agentDir,
  };
  context.progress(`building module ${name}`);
  return await buildLayer(name, parts, { ...context, aptLines: hostTrixieLines() });
}

async function signedModule(
  name: RecipeName,
  layer: string,
  keys: SigningFiles,
  context: LabContext,
): Promise<string> {
  const inputs = {
    layer: await fileDigest(layer),
    label: await fileDigest(moduleJson(name)),
    key: await fileDigest(keys.publicKey),
  };
  const entry = await cached(context, `module-${name}`, inputs, async (dir) => {
    context.progress(`sealing and signing module ${name}`);
    await packAndSign(
      billetWith(null, context.signal),
      name,
      layer,
      `oci:${join(dir, 'layout')}:stable`,
      keys,
    );
  });
  return `oci:${join(entry, 'layout')}:stable`;
}

/** Makes a sealed, signed image of a layer, as a person would by hand. */
async function packAndSign(
  billet: Billet,
  name: RecipeName,
  layer: string,
  image: string,
  keys: SigningFiles,
  label = moduleJson(name),
): Promise<void> {
  await billet('module', 'pack', '--layer', layer, '--module', label, '-o', image);
  await billet('module', 'sign', image, '--key', keys.privateKey, '--identity', name);
}
