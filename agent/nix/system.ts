// A node's NixOS system as the reconcile loop sees it: what runs, what is held, how another one is got,
// activated and forgotten. Which one is wanted is decided elsewhere (plan.ts, reconcile/).

import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { type NixClosure, SystemPath } from '#shared/schema/nix-closure.ts';
import type { NixKey } from '#shared/schema/nix-keys.ts';
import { activate } from './activate.ts';
import type { Detached } from './drivers/detached.ts';
import { linkOrNull, type Nix } from './drivers/nix.ts';
import type { ObservedNix } from './plan.ts';
import { pullClosure } from './pull.ts';
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
  const { nix, state, root } = deps;
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
      await keepRoot('wanted', closure.storePath);
      await pullClosure(closure, deps, signal);
      held.add(closure.storePath);
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
      // By name, and before any other goes: at no moment is one of them without its root.
      const names = new Map(keep.map((path) => [`kept-${basename(path)}`, path]));
      for (const [name, path] of names) await keepRoot(name, path);
      for (const name of await readdir(join(root, ROOTS)))
        if (name.startsWith('kept-') && !names.has(name)) await rm(join(root, ROOTS, name));
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

function assertNixos(running: SystemPath | null): void {
  if (running !== null) return;
  throw new BilletError('UNSUPPORTED', 'this machine runs no NixOS, and cannot become one live', {
    hint: 'install it with the profile nixos-disko (docs/nixos.md), or take the closure out of the node',
  });
}

/** A link like /run/current-system; null where it is not there, or points elsewhere. */
async function systemAt(link: string): Promise<SystemPath | null> {
  return SystemPath.safeParse(await linkOrNull(link)).data ?? null;
}

/** Two links: system is system-N-link, and that is the path. */
async function profileOf(root: string): Promise<SystemPath | null> {
  const dir = join(root, 'nix/var/nix/profiles');
  const name = await linkOrNull(join(dir, 'system'));
  return name === null ? null : await systemAt(join(dir, basename(name)));
}
