# The types of options that both modules use.
{ lib }:
let
  inherit (lib) mkOption types;
  matching = what: pattern: types.strMatching pattern // { description = what; };
in
rec {
  httpsUrl = matching "the address of a server, https://" "https://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~/-]*)?";
  httpUrl = matching "the address of a server, http://" "http://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~/-]*)?";
  fingerprint = matching "a SHA-256 digest, sha256:<hex>" "sha256:[0-9a-f]{64}";
  listen = matching "host:port" "[^ ]+:[0-9]{1,5}";

  # A path literal would be copied into the store by its mere use, for everybody to read.
  outsideOfStore = types.addCheck types.str
    (path: lib.hasPrefix "/" path && !(lib.hasPrefix builtins.storeDir path))
  // { description = "an absolute path outside of the Nix store, as a string"; };

  moduleRule = types.submodule {
    options = {
      modules = mkOption {
        type = types.listOf (types.strMatching "[a-z][a-z0-9-]*\\*?|\\*");
        example = [ "web-*" ];
        description = "Names of modules, or starts of names and *.";
      };
      keys = mkOption {
        type = types.listOf types.str;
        description = "Public keys in PEM (SPKI): P-256 or Ed25519.";
      };
      minimumSequence = mkOption {
        type = types.nullOr types.ints.unsigned;
        default = null;
        description = "Older releases are refused.";
      };
    };
  };

  nixKey = types.submodule {
    options = {
      key = mkOption {
        type = types.strMatching "[A-Za-z0-9._-]+:[A-Za-z0-9+/]{43}=";
        description = "As in trusted-public-keys of nix.conf(5).";
      };
      systems = mkOption {
        type = types.bool;
        default = true;
        description = "Whether it may sign a system, and not only what a system is made of.";
      };
    };
  };
}
