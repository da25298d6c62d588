// Gets a NixOS system into a store: from the caches in their order, under the keys of the node's own
// policy. Whole and signed, or not at all; what runs is not touched.

import { join } from 'node:path';
import { BilletError, type Code } from '#shared/errors.ts';
import type { NixClosure } from '#shared/schema/nix-closure.ts';
import type { NixKey } from '#shared/schema/nix-keys.ts';
import { exists } from '../drivers/files.ts';
import type { Nix } from './drivers/nix.ts';
import type { PathInfo } from './path-info.ts';
import { assertSigned } from './signatures.ts';

export interface PullDeps {
  readonly nix: Pick<Nix, 'closure' | 'copy' | 'copySignatures' | 'verify'>;
  readonly keys: readonly NixKey[];
  /** Of the store. */
  readonly root: string;
}

/** Throws STORE_FULL and NIX_…: of several caches, what says most. */
export async function pullClosure(
  closure: NixClosure,
  deps: PullDeps,
  signal: AbortSignal,
): Promise<void> {
  if (await isHere(closure, deps, signal)) return;
  await fromCaches(closure, signal, (cache) => pullFrom(closure, cache, deps, signal));
}

/** The paths of the closure, as the first cache that has them describes and signs them. */
export async function describedClosure(
  closure: NixClosure,
  { nix, keys }: PullDeps,
  signal: AbortSignal,
): Promise<{ readonly cache: string; readonly infos: readonly PathInfo[] }> {
  return await fromCaches(closure, signal, async (cache) => {
    const infos = await nix.closure(closure.storePath, cache, signal);
    if (infos === null) throw missing(closure, cache);
    assertWanted(closure, infos, keys);
    return { cache, infos };
  });
}

async function fromCaches<T>(
  { storePath, caches }: NixClosure,
  signal: AbortSignal,
  from: (cache: string) => Promise<T>,
): Promise<T> {
  const failures: BilletError[] = [];
  for (const cache of caches)
    try {
      return await from(cache);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BilletError)) throw error;
      failures.push(error);
    }
  // One that answered says more than one that did not.
  const worst = failures.find(({ code }) => code !== 'NIX_CACHE_UNREACHABLE') ?? failures[0];
  throw worst ?? noCache(storePath);
}

/** What is here without the right signatures may get them from a cache. */
async function isHere(closure: NixClosure, deps: PullDeps, signal: AbortSignal): Promise<boolean> {
  try {
    return await assertHere(closure, deps, signal);
  } catch (error) {
    const unsigned = error instanceof BilletError && UNSIGNED.has(error.code);
    if (!unsigned || closure.caches.length === 0) throw error;
    return false;
  }
}

const UNSIGNED: ReadonlySet<Code> = new Set<Code>([
  'NIX_SIGNATURE_INVALID',
  'NIX_SIGNATURE_MISSING',
]);

async function pullFrom(
  closure: NixClosure,
  cache: string,
  deps: PullDeps,
  signal: AbortSignal,
): Promise<void> {
  const { nix, keys } = deps;
  const { storePath } = closure;
  const infos = await nix.closure(storePath, cache, signal);
  if (infos === null) throw missing(closure, cache);
  assertWanted(closure, infos, keys);
  await nix.copy(storePath, cache, keys, signal);
  // Paths that were here before may be without the signatures that the cache has for them.
  await nix.copySignatures(storePath, cache, signal);
  await nix.verify(storePath, keys, signal);
  if (await assertHere(closure, deps, signal)) return;
  throw new BilletError('NIX_CLOSURE_MISSING', `${storePath} was copied, and is not here`, {
    hint: 'on the node: nix-store --verify; a garbage collection may have run beside the copy',
  });
}

async function assertHere(
  closure: NixClosure,
  { nix, keys, root }: PullDeps,
  signal: AbortSignal,
): Promise<boolean> {
  const { storePath } = closure;
  const infos = await nix.closure(storePath, null, signal);
  if (infos === null) return false;
  assertWanted(closure, infos, keys);
  if (await exists(join(root, storePath, 'bin/switch-to-configuration'))) return true;
  throw new BilletError('NIX_CLOSURE_INVALID', `${storePath} has no bin/switch-to-configuration`, {
    hint: 'name config.system.build.toplevel of a NixOS configuration',
  });
}

function assertWanted(
  { storePath, narHash: wanted }: NixClosure,
  infos: readonly PathInfo[],
  keys: readonly NixKey[],
): void {
  assertSigned(storePath, infos, keys);
  const found = infos.find(({ path }) => path === storePath)?.narHash;
  if (wanted === null || wanted === found) return;
  throw new BilletError(
    'NIX_CLOSURE_INVALID',
    `${storePath} has the NAR hash ${found}, wanted is ${wanted}`,
    { hint: 'it was built twice with different results: name the one that the cache has' },
  );
}

const missing = ({ storePath }: NixClosure, cache: string): BilletError =>
  new BilletError('NIX_CLOSURE_MISSING', `${cache} has not all of ${storePath}`, {
    hint: `copy the whole closure to it: nix copy --to ${cache} ${storePath}`,
  });

const noCache = (storePath: string): BilletError =>
  new BilletError(
    'NIX_CLOSURE_MISSING',
    `${storePath} is not on this node, and no cache is named`,
    {
      hint: 'name a binary cache in the closure (caches), or copy it: nix copy --to ssh://NODE PATH',
    },
  );
