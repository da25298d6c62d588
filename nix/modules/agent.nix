# The agent of a NixOS machine: what it may trust, where it finds its coordinator, its unit.
{ config, lib, pkgs, ... }:
let
  cfg = config.services.billet.agent;
  inherit (lib) mkEnableOption mkIf mkOption types;
  inherit (import ./types.nix { inherit lib; }) fingerprint httpsUrl outsideOfStore moduleRule nixKey;

  policy = lib.filterAttrs (_: value: value != null) {
    format = 1;
    inherit (cfg.trustPolicy) mode;
    rules = map (lib.filterAttrs (_: value: value != null)) cfg.trustPolicy.rules;
    nixKeys = if cfg.trustPolicy.nixKeys == [ ] then null else cfg.trustPolicy.nixKeys;
  };
  public = cfg.coordinator != null;

  # Below /etc/billet.
  files = lib.mapAttrs (_: builtins.toJSON) ({
    "agent.json" = lib.optionalAttrs (cfg.identityFile != null) { inherit (cfg) identityFile; };
    "trust-policy.json" = policy;
  } // lib.optionalAttrs public {
    "identity.json" = { inherit (cfg) coordinator ca; };
  });
in
{
  options.services.billet.agent = {
    enable = mkEnableOption "the agent of Billet, which makes this machine a node of a fleet";

    package = mkOption {
      type = types.package;
      default = pkgs.billet-agent;
      defaultText = lib.literalExpression "pkgs.billet-agent";
      description = "The package of the agent.";
    };

    coordinator = mkOption {
      type = types.nullOr httpsUrl;
      default = null;
      example = "https://fleet.example.org:8443";
      description = ''
        Address of the coordinator. With it the machine asks to be claimed: it shows a code on its
        console, which an operator approves. Null: identityFile or another source of identity says it.
      '';
    };

    ca = mkOption {
      type = types.nullOr fingerprint;
      default = null;
      example = "sha256:0f4636c78f65d3639ece5a064b5ae753e3408614a14fb18ab4d7540d2c248543";
      description = "Fingerprint of the coordinator's CA: `billet ca show` says it.";
    };

    identityFile = mkOption {
      type = types.nullOr outsideOfStore;
      default = null;
      example = "/run/keys/billet-identity.json";
      description = ''
        A file with coordinator, ca, instance and token as JSON. It holds a secret: everybody can read
        the Nix store, so it has to lie outside of it.
      '';
    };

    netrcFile = mkOption {
      type = types.nullOr outsideOfStore;
      default = null;
      example = "/run/keys/billet-netrc";
      description = "Passwords of binary caches, as netrc(5); a secret, outside of the Nix store.";
    };

    stateDir = mkOption {
      type = types.str;
      default = "/var/lib/billet";
      readOnly = true;
      description = "Key, certificate, desired state and store: StateDirectory= of the unit.";
    };

    trustPolicy = {
      mode = mkOption {
        type = types.enum [ "enforce" "audit" "off" ];
        default = "enforce";
        description = ''
          Of modules: whether a signature that does not count is refused, reported, or not looked at.
          Signatures of NixOS systems are always enforced.
        '';
      };
      rules = mkOption {
        type = types.listOf moduleRule;
        default = [ ];
        description = "Which public keys may sign which modules.";
      };
      nixKeys = mkOption {
        type = types.listOf nixKey;
        default = [ ];
        example = [{ key = "fleet-1:…"; systems = true; }];
        description = ''
          Public keys of binary caches that may sign store paths of this machine's system. The agent
          looks at no others, neither those of nix.conf(5) nor any that a coordinator names.
        '';
      };
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.trustPolicy.rules != [ ];
        message = "services.billet.agent.trustPolicy.rules is empty: nothing could ever run";
      }
      {
        assertion = public == (cfg.ca != null);
        message = "services.billet.agent: coordinator and ca go together";
      }
      {
        assertion = !(public && cfg.identityFile != null);
        message = "services.billet.agent: identityFile says what coordinator and ca say; keep one of them";
      }
    ];

    environment.etc = lib.mapAttrs'
      (name: value: lib.nameValuePair "billet/${name}" { text = value; })
      files;

    environment.systemPackages = [ cfg.package ];

    systemd.tmpfiles.rules = lib.optional (cfg.netrcFile != null)
      "L+ ${cfg.stateDir}/netrc - - - - ${cfg.netrcFile}";

    systemd.services.billet-agent =
      let
        unit = import ./unit.nix { inherit lib; inherit (cfg) package; file = ../../systemd/billet-agent.service; };
      in
      unit // {
        # What it runs: Nix, systemctl and systemd-run, mount helpers.
        path = [ config.nix.package config.systemd.package pkgs.util-linux pkgs.kmod pkgs.e2fsprogs ];
        # It reads them as it starts: without this, a key that is taken out of the policy would count on.
        restartTriggers = lib.attrValues files;
        serviceConfig = unit.serviceConfig // {
          # Nix makes /nix/store writable for itself alone, in a mount name space of its own.
          RestrictNamespaces = "mnt";
        };
      };
  };
}
