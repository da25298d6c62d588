// Evaluates this tree's flake with the stub of nixpkgs, by the real Nix, without a network.

import { join } from 'node:path';
import { nix } from './nix-builder-fixture.ts';

const HERE = import.meta.dirname;
const TREE = join(HERE, '../..');

/** What the expression is about: `flake` (its outputs), `lib`, and `machine`, one with these modules. */
const SCOPE = `
  nixpkgs = { lib = (import ${HERE}/stub-nixpkgs/flake.nix).outputs { self = { }; }; outPath = "${HERE}/stub-nixpkgs"; };
  inherit (nixpkgs.lib) lib;
  flake = import ${TREE}/nix/outputs.nix { self = { }; nixpkgs = nixpkgs // { inherit lib; }; };
  machine = settings: (lib.nixosSystem {
    modules = [
      { nixpkgs.overlays = [ flake.overlays.default ]; system.stateVersion = "26.05"; }
      flake.nixosModules.default
      settings
    ];
  }).config;
`;

/** The value of a Nix expression, all of it. Throws with what Nix said. */
export function evaluate(store: string, expression: string, more: readonly string[] = []): unknown {
  const whole = `let ${SCOPE} in ${expression}`;
  const argv = ['--store', store, '--eval', '--strict', '--json', ...more, '--expr', whole];
  return JSON.parse(nix('nix-instantiate', argv));
}

/** The flake itself, as \`nix flake\` reads it: flake.nix with its input replaced. */
export const flake = (store: string, dir: string, ...words: string[]): string =>
  nix('nix', [
    ...['--store', store, 'flake', ...words, `path:${dir}`, '--no-write-lock-file'],
    ...['--override-input', 'nixpkgs', `path:${HERE}/stub-nixpkgs`],
  ]);

export { TREE };
