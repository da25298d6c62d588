// The programs by which a NixOS system lays out its disk. They are parts of the signed closure, known by
// their names: nixosModules.install of the flake puts them there.

import { BilletError } from '#shared/errors.ts';
import type { PathInfo } from '../path-info.ts';

/** Below /run: Disko configurations name it as their device, and it leads to the disk of the plan. */
export const INSTALL_DISK = '/run/billet-install/disk';

/** create: erases, partitions, formats and mounts; mount: mounts what is there. */
export const PROGRAMS = { create: 'billet-disko', mount: 'billet-mount' } as const;
export type Program = keyof typeof PROGRAMS;

/** The store path of one. Throws NIX_CLOSURE_INVALID. */
export function programOf(program: Program, closure: readonly PathInfo[]): string {
  const name = PROGRAMS[program];
  const found = closure.filter(({ path }) => path.slice(path.indexOf('-') + 1) === name);
  const [only] = found;
  if (only !== undefined && found.length === 1) return only.path;
  throw new BilletError(
    'NIX_CLOSURE_INVALID',
    `the system has ${found.length === 0 ? 'no' : found.length} parts named ${name}`,
    {
      hint: "import the flake's nixosModules.install into its configuration: it makes them of disko.devices",
      details: { name },
    },
  );
}
