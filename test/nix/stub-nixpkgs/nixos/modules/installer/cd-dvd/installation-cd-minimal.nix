# The minimal installer of NixOS as an ISO.
{ config, pkgs, ... }:
{
  system.build.isoImage = pkgs.runCommand "iso" { inherit (config.system.build) toplevel; } "";
}
