# Options of NixOS, with the types that they have there.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; description = "As in NixOS."; };
  needed = type: mkOption { inherit type; description = "As in NixOS."; };
  unitValue = types.anything;
  service = types.submodule {
    options = {
      description = option types.str "";
      after = option (types.listOf types.str) [ ];
      wants = option (types.listOf types.str) [ ];
      wantedBy = option (types.listOf types.str) [ ];
      path = option (types.listOf (types.either types.package types.str)) [ ];
      restartTriggers = option (types.listOf types.anything) [ ];
      stopIfChanged = option types.bool true;
      unitConfig = option (types.attrsOf unitValue) { };
      serviceConfig = option (types.attrsOf unitValue) { };
    };
  };
in
{
  options = {
    assertions = option (types.listOf types.anything) [ ];
    boot.isContainer = option types.bool false;
    boot.kernelParams = option (types.listOf types.str) [ ];
    environment.etc = option
      (types.attrsOf (types.submodule { options.text = needed types.str; }))
      { };
    environment.systemPackages = option (types.listOf types.package) [ ];
    networking.firewall.allowedTCPPorts = option (types.listOf types.port) [ ];
    nix.package = option types.package pkgs.nix;
    nix.settings = option (types.attrsOf types.anything) { };
    nixpkgs.overlays = option (types.listOf types.raw) [ ];
    system.extraSystemBuilderCmds = option types.lines "";
    system.build = option (types.attrsOf types.package) { };
    system.stateVersion = needed types.str;
    systemd.package = option types.package pkgs.systemd;
    systemd.services = option (types.attrsOf service) { };
    systemd.tmpfiles.rules = option (types.listOf types.str) [ ];
    users.groups = option (types.attrsOf types.anything) { };
    users.users = option
      (types.attrsOf (types.submodule {
        options = {
          isSystemUser = option types.bool false;
          group = option types.str "";
          home = option types.str "/var/empty";
        };
      }))
      { };
  };

  config.system.build.toplevel = pkgs.runCommand "nixos-system-stub" { } (
    let failed = builtins.filter (each: !each.assertion) config.assertions; in
    if failed == [ ]
    then builtins.toJSON config.systemd.services + config.system.extraSystemBuilderCmds
    else throw "Failed assertions: ${lib.concatStringsSep "; " (map (each: each.message) failed)}"
  );
}
