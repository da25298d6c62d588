{
  description = "Billet: from power-on to a running, verified member of a fleet, and kept there";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  # What there is stands in nix/, one file for each kind of output.
  outputs = { self, nixpkgs }: import ./nix/outputs.nix { inherit self nixpkgs; };
}
