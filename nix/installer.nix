# The environment from which machines are installed with NixOS: an ISO or a network boot of nixpkgs' minimal
# installer, with the agent's command in it. What it may install says the trust policy baked in here, and
# which machine it is a file on a second medium, or the operator.
{ lib, pkgs, ... }:
{
  environment.systemPackages = with pkgs; [ billet-agent disko gptfdisk util-linux dosfstools e2fsprogs ];

  # The agent of this environment enrolls nothing: `billet-agent nixos-install` is run by hand or by a unit
  # of whoever extends this configuration.
  services.billet.agent.enable = lib.mkDefault false;

  # For whoever builds here, of a bundle for one. What the agent runs names its own settings.
  nix.settings.experimental-features = [ "nix-command" "flakes" ];

  boot.kernelParams = [ "console=tty0" "console=ttyS0,115200" ];
  system.stateVersion = lib.mkDefault lib.trivial.release;
}
