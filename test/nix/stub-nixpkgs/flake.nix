# A nixpkgs for tests that have none: as much of its interface as Billet's flake uses, written anew. What
# evaluates here has correct names, types and structure; nothing of it is ever built.
{
  description = "stub of nixpkgs";
  outputs = { self }: {
    lib = import ./lib // {
      nixosSystem = import ./nixos { nixpkgs = ./.; lib = import ./lib; };
    };
  };
}
