# What `nix flake check` builds, beside the packages: a machine with both modules, as far as its units and
# files.
{ pkgs, lib, modules }:
let
  machine = lib.nixosSystem {
    inherit (pkgs.stdenv.hostPlatform) system;
    modules = [
      modules.agent
      modules.coordinator
      {
        nixpkgs.overlays = [ (import ./overlay.nix) ];
        boot.isContainer = true;
        system.stateVersion = lib.trivial.release;
        services.billet.coordinator.enable = true;
        services.billet.agent = {
          enable = true;
          coordinator = "https://127.0.0.1:8443";
          ca = "sha256:${lib.concatStrings (lib.genList (_: "0") 64)}";
          trustPolicy.rules = [{ modules = [ "*" ]; keys = [ "-----BEGIN PUBLIC KEY-----" ]; }];
        };
      }
    ];
  };
  etc = machine.config.environment.etc;
in
{
  inherit (pkgs) billet billet-agent billet-coordinator;
  units = pkgs.runCommand "billet-units" { } ''
    cat > $out <<'EOF'
    ${builtins.toJSON (lib.mapAttrs (_: unit: unit.serviceConfig) {
      inherit (machine.config.systemd.services) billet-agent billet-coordinator;
    })}
    ${etc."billet/agent.json".text}
    ${etc."billet/coordinator.json".text}
    EOF
  '';
}
