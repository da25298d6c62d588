# The packages of this tree, for a nixpkgs that has Node 26.
final: _prev: {
  billet = final.callPackage ./package.nix { part = "billet"; };
  billet-agent = final.callPackage ./package.nix { part = "billet-agent"; };
  billet-coordinator = final.callPackage ./package.nix { part = "billet-coordinator"; };
}
