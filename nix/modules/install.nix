# What the installer looks for in a system: the programs of its Disko configuration, under names of their
# own. To be imported beside Disko's module, into the configuration of a machine that is installed so.
{ config, lib, pkgs, ... }:
let
  inherit (config.system.build) diskoScript mountScript;
  program = name: script: pkgs.writeShellScriptBin name ''
    exec ${script} "$@"
  '';
in
{
  options.services.billet.install.disk = lib.mkOption {
    type = lib.types.str;
    default = "/run/billet-install/disk";
    readOnly = true;
    description = ''
      What disko.devices names as its device: the installer lets it lead to the disk that the install plan
      chose. The plan knows disks by serial, WWN or size; a configuration for many machines knows none.
    '';
  };

  # Parts of the closure, and so signed with it.
  config.system.extraSystemBuilderCmds = ''
    mkdir -p $out/billet
    ln -s ${program "billet-disko" diskoScript} $out/billet/disko
    ln -s ${program "billet-mount" mountScript} $out/billet/mount
  '';
}
