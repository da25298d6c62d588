# `import nixpkgs { system; overlays; }`
{ system, overlays ? [ ] }:
let
  lib = import ./lib // {
    nixosSystem = import ./nixos { nixpkgs = ./.; inherit lib; };
  };
  base = import ./packages.nix { inherit lib system; };
  extend = package: overlay: package // overlay final package;
  final = builtins.foldl' extend (base // { inherit lib system; callPackage = lib.callPackageWith final; }) overlays;
in
final
