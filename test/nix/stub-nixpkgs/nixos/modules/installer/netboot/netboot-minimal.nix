# The minimal installer of NixOS over the network.
{ config, pkgs, ... }:
{
  system.build.netbootRamdisk = pkgs.runCommand "ramdisk" { inherit (config.system.build) toplevel; } "";
  system.build.netbootIpxeScript = pkgs.runCommand "ipxe" { inherit (config.system.build) toplevel; } "";
}
