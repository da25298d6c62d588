// NixOS systems without nixpkgs, built by the real Nix: a store path named nixos-system-… with a
// switch-to-configuration of a few lines, signed with a key of its own, in a binary cache in a directory.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SystemPath } from '../../shared/schema/nix-closure.ts';

export interface BuiltSystem {
  readonly path: SystemPath;
  /** What it refers to. */
  readonly dependency: string;
}

/** What its switch-to-configuration does, in shell; `$1` is the verb, `$OUT` its own path. */
export const WORKS =
  'if [ "$1" != boot ]; then ln -sfn "$OUT" "$BILLET_ROOT/run/current-system"; fi';
/** As NixOS does when a unit fails: the new system is in force by then. */
export const FAILS = `${WORKS}; echo "unit nginx.service did not start"; exit 4`;
export const HANGS = 'sleep 300';

export interface Builder {
  readonly dir: string;
  /** As in a trust policy. */
  readonly key: string;
  /** Another one, which signed nothing unless it is asked to. */
  readonly foreignKey: string;
  build(name: string, activation?: string): BuiltSystem;
  /** What a Nix expression comes to. */
  buildFrom(name: string, expression: string): BuiltSystem;
  sign(path: string, by?: 'own' | 'foreign', closure?: boolean): void;
  /** Into the binary cache that lies in a directory. */
  publish(path: string, cache?: string): string;
}

/** No nix.conf of this machine takes part. */
const ENV = {
  ...process.env,
  NIX_CONF_DIR: '/nonexistent',
  NIX_USER_CONF_FILES: '',
  NIX_REMOTE: '',
};

export function nix(tool: string, args: readonly string[], cwd?: string): string {
  const settings = ['build-users-group', '', 'substituters', '', 'sandbox', 'true'];
  const options = [...settings, 'sandbox-paths', '/bin/sh=/bin/busybox'];
  const words = options.flatMap((word, index) => (index % 2 === 0 ? ['--option', word] : [word]));
  const features = tool === 'nix' ? ['--extra-experimental-features', 'nix-command flakes'] : [];
  const argv = [...features, ...words, ...args];
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  return execFileSync(tool, argv, { env: ENV, encoding: 'utf8', stdio: [...stdio], cwd }).trim();
}

export function builder(dir: string): Builder {
  mkdirSync(dir, { recursive: true });
  const store = join(dir, 'store');
  const keys = { own: keyPair(dir, 'own-1'), foreign: keyPair(dir, 'foreign-1') };
  return {
    dir,
    key: keys.own.key,
    foreignKey: keys.foreign.key,
    build(name, activation = WORKS) {
      return this.buildFrom(name, expression(name, activation));
    },
    buildFrom(name, text) {
      const file = join(dir, `${name}.nix`);
      writeFileSync(file, text);
      const path = nix('nix-build', ['--store', store, '--no-out-link', file]);
      const info = nix('nix', ['path-info', '--store', store, '--json', path]);
      const [entry] = JSON.parse(info) as { references: string[] }[];
      const dependency = entry?.references.find((each) => each !== path) ?? '';
      return { path: SystemPath.parse(path), dependency };
    },
    sign(path, by = 'own', closure = true) {
      const recursive = closure ? ['--recursive'] : [];
      const words = ['store', 'sign', '--store', store, '--key-file', keys[by].file];
      nix('nix', [...words, ...recursive, path]);
    },
    publish(path, cache = 'cache') {
      nix('nix', ['copy', '--store', store, '--to', `file://${join(dir, cache)}`, path]);
      return join(dir, cache);
    },
  };
}

function keyPair(dir: string, name: string) {
  const [file, publicFile] = [join(dir, name), join(dir, `${name}.pub`)];
  rmSync(file, { force: true });
  nix('nix-store', ['--generate-binary-cache-key', name, file, publicFile]);
  return { file, key: readFileSync(publicFile, 'utf8').trim() };
}

/** The builder is busybox' shell, whose own commands are all that there is. */
const expression = (name: string, activation: string): string => `
let
  make = name: script: derivation {
    inherit name script;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
  dependency = make "part-of-${name}" ''
    mkdir $out
    echo "what ${name} needs" > $out/file
    i=0; while [ $i -lt 2000 ]; do echo "$i $i ${name}"; i=$((i+1)); done > $out/filler
  '';
in make "nixos-system-${name}" ''
  mkdir -p $out/bin
  ln -s \${dependency} $out/dependency
  echo "24.11.${name}" > $out/nixos-version
  {
    echo '#!/bin/sh'
    echo "OUT=$out"
    cat <<'SCRIPT'
echo "$1 $OUT" >> "$BILLET_ROOT/activations"
${activation.replaceAll('${', "''${")}
SCRIPT
  } > $out/bin/switch-to-configuration
  chmod 755 $out/bin/switch-to-configuration
''
`;
