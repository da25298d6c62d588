# The outputs of the flake, by name. Builds nothing itself.
{ self, nixpkgs }:
let
  inherit (nixpkgs) lib;
  systems = [ "x86_64-linux" "aarch64-linux" ];
  pkgsFor = system: import nixpkgs { inherit system; overlays = [ overlay ]; };
  perSystem = make: lib.genAttrs systems (system: make (pkgsFor system));
  overlay = import ./overlay.nix;

  modules = {
    agent = import ./modules/agent.nix;
    coordinator = import ./modules/coordinator.nix;
    install = import ./modules/install.nix;
  };
  # Beside the module of the agent, in the installer's environment, from which a machine is installed.
  installer = kind: lib.nixosSystem {
    system = "x86_64-linux";
    modules = [
      { nixpkgs.overlays = [ overlay ]; }
      modules.agent
      ./installer.nix
      "${nixpkgs}/nixos/modules/installer/${kind}"
    ];
  };
in
{
  overlays.default = overlay;

  packages = perSystem (pkgs: {
    inherit (pkgs) billet billet-agent billet-coordinator;
    default = pkgs.billet;
  });

  nixosModules = modules // {
    default.imports = [ modules.agent modules.coordinator ];
  };

  nixosConfigurations = {
    iso = installer "cd-dvd/installation-cd-minimal.nix";
    netboot = installer "netboot/netboot-minimal.nix";
  };

  checks = perSystem (pkgs: import ./checks.nix { inherit pkgs; inherit (nixpkgs) lib; inherit modules; });

  devShells = perSystem (pkgs: {
    # Node is the one of package-lock.json as soon as `npm ci` has run: the shell's comes second.
    default = pkgs.mkShell {
      packages = with pkgs; [ nodejs_26 cosign skopeo qemu swtpm zstd cpio kmod e2fsprogs shellcheck ];
    };
  });

  formatter = perSystem (pkgs: pkgs.nixpkgs-fmt);
}
