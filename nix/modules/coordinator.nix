# A coordinator on NixOS: its configuration, user and unit.
{ config, lib, pkgs, ... }:
let
  cfg = config.services.billet.coordinator;
  inherit (lib) mkEnableOption mkIf mkOption types;
  inherit (import ./types.nix { inherit lib; }) httpsUrl httpUrl listen;
  portOf = address: lib.toInt (lib.last (lib.splitString ":" address));

  settings = lib.filterAttrs (_: value: value != null) {
    inherit (cfg) listen url bootUrl trustDomain names heartbeatSeconds connectionsMax;
    providers = if cfg.providers == { } then null else cfg.providers;
  } // { inherit (cfg) bootListen; };
in
{
  options.services.billet.coordinator = {
    enable = mkEnableOption "the coordinator of Billet, which stores what nodes should be";

    package = mkOption {
      type = types.package;
      default = pkgs.billet-coordinator;
      defaultText = lib.literalExpression "pkgs.billet-coordinator";
      description = "The package of the coordinator.";
    };

    listen = mkOption {
      type = listen;
      default = "127.0.0.1:8443";
      example = "0.0.0.0:8443";
      description = "Where nodes and operators are answered, over HTTPS.";
    };

    bootListen = mkOption {
      type = types.nullOr listen;
      default = "127.0.0.1:8480";
      description = "Where firmware gets boot files, over plain HTTP; null switches network boot off.";
    };

    url = mkOption {
      type = types.nullOr httpsUrl;
      default = null;
      description = "By which nodes and operators reach listen; made of names and the port without it.";
    };

    bootUrl = mkOption {
      type = types.nullOr httpUrl;
      default = null;
      description = "By which firmware reaches bootListen.";
    };

    names = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "DNS names and IP addresses of the server's certificate.";
    };

    trustDomain = mkOption {
      type = types.strMatching "[a-z0-9.-]+";
      default = "billet.internal";
      description = "The SPIFFE trust domain of the certificates. It cannot be changed later.";
    };

    heartbeatSeconds = mkOption {
      type = types.ints.between 1 3600;
      default = 30;
      description = "How often a node says that it is there.";
    };

    connectionsMax = mkOption {
      type = types.ints.positive;
      default = 120000;
      description = "More connections than this are refused.";
    };

    providers = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      description = "Who makes machines, as in coordinator.json. Everybody can read it: it holds no secrets.";
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the ports of listen and bootListen are open in the firewall.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.url != null || cfg.names != [ ] || lib.hasPrefix "127." cfg.listen;
        message = "services.billet.coordinator: others than this machine need a url, or names";
      }
      {
        assertion = cfg.bootUrl == null || cfg.bootListen != null;
        message = "services.billet.coordinator: a bootUrl without bootListen leads nowhere";
      }
    ];

    environment.etc."billet/coordinator.json".text = builtins.toJSON settings;
    environment.systemPackages = [ pkgs.billet ];

    users.users.billet = {
      isSystemUser = true;
      group = "billet";
      home = "/var/lib/billet/coordinator";
    };
    users.groups.billet = { };

    networking.firewall.allowedTCPPorts = lib.optionals cfg.openFirewall (
      [ (portOf cfg.listen) ] ++ lib.optional (cfg.bootListen != null) (portOf cfg.bootListen)
    );

    systemd.services.billet-coordinator = import ./unit.nix {
      inherit lib;
      inherit (cfg) package;
      file = ../../systemd/billet-coordinator.service;
    } // {
      restartTriggers = [ config.environment.etc."billet/coordinator.json".text ];
    };
  };
}
