# Packages by name, each a derivation that nobody builds. A wrong attribute is an error, as in nixpkgs.
{ lib, system }:
let
  package = name: derive { pname = name; version = "0"; };
  derive = args:
    let
      name = args.name or "${args.pname}-${args.version}";
      # Everything that would be an environment variable of the builder has to be a string, path or list.
      plain = removeAttrs args [ "passthru" "meta" "nodejs" "npmDeps" "npmConfigHook" ];
      drv = builtins.derivation (plain // { inherit name system; builder = "/bin/sh"; });
    in
    drv // { inherit name; meta = args.meta or { }; } // (args.passthru or { });
  names = [
    "cosign" "skopeo" "qemu" "swtpm" "zstd" "cpio" "kmod" "e2fsprogs" "shellcheck" "nixpkgs-fmt"
    "util-linux" "disko" "gptfdisk" "dosfstools" "nix" "systemd" "makeWrapper" "nodejs_26"
  ];
in
lib.genAttrs names package // {
  stdenv.hostPlatform = { inherit system; };
  importNpmLock = {
    __functor = _: { npmRoot }: package "npm-deps" // { inherit npmRoot; };
    npmConfigHook = package "npm-config-hook";
  };
  buildNpmPackage = args:
    assert args ? npmDeps && args ? npmConfigHook && args ? nodejs;
    derive (args // { deps = [ args.npmDeps args.npmConfigHook args.nodejs ]; });
  mkShell = { packages ? [ ], ... }@args: derive ({ name = "shell"; inherit packages; } // args);
  writeShellScriptBin = name: text: derive { inherit name text; };
  runCommand = name: env: buildCommand: derive ({ inherit name buildCommand; } // env);
}
