# `lib.nixosSystem`: the options that NixOS declares, as far as they are used here.
{ nixpkgs, lib }:
{ system ? null, modules }:
let
  evaluated = lib.evalModules {
    modules = [ ./modules/base.nix ] ++ modules;
    specialArgs = { inherit pkgs; modulesPath = "${toString nixpkgs}/nixos/modules"; };
  };
  pkgs = import nixpkgs {
    inherit (evaluated.config.nixpkgs) overlays;
    system = if system == null then "x86_64-linux" else system;
  };
in
evaluated
