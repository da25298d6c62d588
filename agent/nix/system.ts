// A node's NixOS system as the reconcile loop sees it: what runs, what is held, how another one is got,
// activated and forgotten. Which one is wanted is decided elsewhere (plan.ts, reconcile/).

import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { BilletError, type Code } from '#shared/errors.ts';
import { type NixClosure, SystemPath } from '#shared/schema/nix-closure.ts';
import type { NixKey } from '#shared/schema/nix-keys.ts';
import { exists } from '../drivers/files.ts';
import { activate } from './activate.ts';
import type { Detached } from './drivers/detached.ts';
import { linkOrNull, type Nix } from './drivers/nix.ts';
import type { ObservedNix } from './plan.ts';
import { assertSigned } from './signatures.ts';
import type { Activation, NixStateFile } from './switch-record.ts';

export interface NixSystem {
  /** Null where this machine runs no NixOS. */
  observe(wanted: NixClosure | null): Promise<ObservedNix | null>;
  /**
   * Held when it resolves. Throws UNSUPPORTED, STORE_FULL and NIX_…; what runs, and what the next boot
   * takes up, is then as it was.
   */
  pull(closure: NixClosure, signal: AbortSignal): Promise<void>;
  /** See `activate`. */
  activate(order: Activation, signal: AbortSignal): Promise<void>;
  collect(keep: readonly SystemPath[], signal: AbortSignal): Promise<void>;
  /** What it runs is good: it is what is gone back to from now on. */
  noteGood(closure: NixClosure): Promise<void>;
}

export interface NixSystemDeps {
  readonly clock: Clock;
  readonly nix: Nix;
  readonly detached: Detached;
  readonly state: NixStateFile;
  /** Of the node's own trust policy. */
  readonly keys: readonly NixKey[];
  readonly root: string;
}

/** Below the root. What a link here points to is not collected. */
const ROOTS = 'nix/var/nix/gcroots/billet';
/** Freed by one step at most, so that a large store keeps no disk busy for an hour. */
const COLLECT_BYTES = 16 * 1024 ** 3;

export function nixSystem(deps: NixSystemDeps): NixSystem {
  const { nix, state, keys, root } = deps;
  /** Seen whole and signed in this life: with another one the policy may be another. */
  const held = new Set<string>();

  const running = () => systemAt(join(root, 'run/current-system'));

  async function keepRoot(name: string, path: SystemPath): Promise<void> {
    const dir = join(root, ROOTS);
    await mkdir(dir, { recursive: true, mode: 0o755 });
    const draft = join(dir, `.${name}`);
    await rm(draft, { force: true });
    await symlink(path, draft);
    await rename(draft, join(dir, name));
  }

  async function assertHere({ storePath, narHash }: NixClosure, signal: AbortSignal) {
    const infos = await nix.closure(storePath, null, signal);
    if (infos === null) return null;
    assertSigned(storePath, infos, keys);
    assertNarHash(storePath, narHash, infos.find(({ path }) => path === storePath)?.narHash ?? '');
    if (await exists(join(root, storePath, 'bin/switch-to-configuration'))) return infos;
    throw new BilletError(
      'NIX_CLOSURE_INVALID',
      `${storePath} has no bin/switch-to-configuration`,
      {
        hint: 'name config.system.build.toplevel of a NixOS configuration',
      },
    );
  }

  async function pullFrom(closure: NixClosure, cache: string, signal: AbortSignal) {
    const { storePath, narHash } = closure;
    const infos = await nix.closure(storePath, cache, signal);
    if (infos === null)
      throw new BilletError('NIX_CLOSURE_MISSING', `${cache} has not all of ${storePath}`, {
        hint: `copy the whole closure to it: nix copy --to ${cache} ${storePath}`,
      });
    assertSigned(storePath, infos, keys);
    assertNarHash(storePath, narHash, infos.find(({ path }) => path === storePath)?.narHash ?? '');
    await nix.copy(storePath, cache, keys, signal);
    // Paths that were here before may be without the signatures that the cache has for them.
    await nix.copySignatures(storePath, cache, signal);
    await nix.verify(storePath, keys, signal);
    if ((await assertHere(closure, signal)) === null)
      throw new BilletError('NIX_CLOSURE_MISSING', `${storePath} was copied, and is not here`, {
        hint: 'on the node: nix-store --verify; a garbage collection may have run beside the copy',
      });
  }

  return {
    async observe(wanted) {
      const current = await running();
      if (current === null) return null;
      const generations = await nix.generations();
      const { lastGood, switching } = state.value;
      return {
        running: current,
        booted: await systemAt(join(root, 'run/booted-system')),
        profile: await profileOf(root),
        generations: generations.flatMap(({ path }) => SystemPath.safeParse(path).data ?? []),
        held: wanted !== null && held.has(wanted.storePath),
        lastGood,
        unfinished: switching,
      };
    },

    async pull(closure, signal) {
      assertNixos(await running());
      const { storePath, caches } = closure;
      const failures: BilletError[] = [];
      await keepRoot('wanted', storePath);
      if ((await hereOrNull()) !== null) return void held.add(storePath);
      for (const cache of caches)
        try {
          await pullFrom(closure, cache, signal);
          held.add(storePath);
          return;
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof BilletError)) throw error;
          failures.push(error);
        }
      throw worst(failures) ?? noCache(storePath);

      /** What is here without the right signatures may get them from a cache. */
      async function hereOrNull() {
        try {
          return await assertHere(closure, signal);
        } catch (error) {
          const unsigned = error instanceof BilletError && UNSIGNED.has(error.code);
          if (!unsigned || caches.length === 0) throw error;
          return null;
        }
      }
    },

    async activate(order, signal) {
      const current = await running();
      if (state.value.lastGood === null && current !== null && state.value.switching === null) {
        await keepRoot('last-good', current);
        await state.update({ lastGood: current });
      }
      await activate(order, { ...deps, running }, signal);
    },

    async collect(keep, signal) {
      for (const name of await readdir(join(root, ROOTS)))
        if (/^kept-\d+$/.test(name)) await rm(join(root, ROOTS, name));
      for (const [index, path] of keep.entries()) await keepRoot(`kept-${index}`, path);
      const kept = new Set<string>(keep);
      const gone = (await nix.generations()).filter(({ path }) => !kept.has(path));
      await nix.deleteGenerations(
        gone.map(({ number }) => number),
        signal,
      );
      await nix.collectGarbage(COLLECT_BYTES, signal);
    },

    async noteGood({ storePath }) {
      await keepRoot('last-good', storePath);
      await state.update({ lastGood: storePath });
    },
  };
}

const UNSIGNED: ReadonlySet<Code> = new Set<Code>([
  'NIX_SIGNATURE_INVALID',
  'NIX_SIGNATURE_MISSING',
]);

/** Of several caches, the failure that says most: one that answered before one that did not. */
const worst = (failures: readonly BilletError[]): BilletError | undefined =>
  failures.find(({ code }) => code !== 'NIX_CACHE_UNREACHABLE') ?? failures[0];

const noCache = (storePath: string): BilletError =>
  new BilletError(
    'NIX_CLOSURE_MISSING',
    `${storePath} is not on this node, and no cache is named`,
    {
      hint: 'name a binary cache in the closure (caches), or copy it: nix copy --to ssh://NODE PATH',
    },
  );

function assertNixos(running: SystemPath | null): void {
  if (running !== null) return;
  throw new BilletError('UNSUPPORTED', 'this machine runs no NixOS, and cannot become one live', {
    hint: 'install it with the profile nixos-disko (docs/nixos.md), or take the closure out of the node',
  });
}

function assertNarHash(storePath: string, wanted: string | null, found: string): void {
  if (wanted === null || wanted === found) return;
  throw new BilletError(
    'NIX_CLOSURE_INVALID',
    `${storePath} has the NAR hash ${found}, wanted is ${wanted}`,
    { hint: 'it was built twice with different results: name the one that the cache has' },
  );
}

/** A link like /run/current-system; null where it is not there, or points elsewhere. */
export async function systemAt(link: string): Promise<SystemPath | null> {
  return SystemPath.safeParse(await linkOrNull(link)).data ?? null;
}

/** Two links: system is system-N-link, and that is the path. */
async function profileOf(root: string): Promise<SystemPath | null> {
  const dir = join(root, 'nix/var/nix/profiles');
  const name = await linkOrNull(join(dir, 'system'));
  return name === null ? null : await systemAt(join(dir, basename(name)));
}
