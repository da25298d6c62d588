// A flake bundle from the coordinator's registry into a folder: by digest, under the trust policy, all of it
// or nothing.

import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fetchBundle } from '#shared/artifact/nix/bundle.ts';
import type { FlakeFile } from '#shared/artifact/nix/flake-files.ts';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import type { AgentConfig } from '../config.ts';
import { exists } from '../drivers/files.ts';
import type { AgentIo } from '../io.ts';
import { uplinkByHand } from './uplink.ts';

/** The folder must not be there. Throws what `fetchBundle` throws, and ARGUMENT_INVALID. */
export async function unpackBundle(
  source: ArtifactSource,
  digest: Digest,
  policy: TrustPolicy,
  dir: string,
): Promise<string> {
  const target = resolve(dir);
  if (await exists(target))
    throw new BilletError('ARGUMENT_INVALID', `${target} is there already`, {
      hint: 'name a folder that is not there: a bundle is not mixed with other files',
    });
  const { bundle, files } = await fetchBundle(source, digest, policy);
  const draft = await mkdtemp(join(dirname(target), `.${basename(target)}-`));
  try {
    for (const file of files) await place(draft, file);
    await chmod(draft, 0o755);
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
  return `${bundle.name} ${bundle.version} (sequence ${bundle.sequence}): ${files.length} files in ${target}`;
}

/** Links last in nothing: no file lies below one (flake-files.ts), so none is followed. */
async function place(dir: string, file: FlakeFile): Promise<void> {
  const path = join(dir, file.path);
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  if (file.kind === 'symlink') return await symlink(file.target, path);
  await writeFile(path, file.content, { flag: 'wx', mode: file.executable ? 0o755 : 0o644 });
}

/** `billet-agent nix-bundle REPOSITORY@DIGEST DIR`. */
export async function nixBundle(
  config: AgentConfig,
  [reference = '', dir = '']: readonly string[],
  io: AgentIo,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const [repository = '', text] = reference.split('@');
  const digest = Digest.safeParse(text);
  if (repository === '' || !digest.success || dir === '')
    throw new BilletError('ARGUMENT_INVALID', 'which bundle, and where to?', {
      hint: 'billet agent nix-bundle REPOSITORY@sha256:DIGEST DIR; `billet bundle push` says the digest',
    });
  const { policy, uplink } = await uplinkByHand(config, io, say, signal);
  try {
    const source = uplink.sourceFor({ repository }, signal);
    say(await unpackBundle(source, digest.data, policy, dir));
  } finally {
    await uplink.close();
  }
}
