# The functions of nixpkgs' lib that Billet's flake uses.
let
  inherit (builtins) attrNames concatLists concatStringsSep elem elemAt filter fromJSON functionArgs
    genList head intersectAttrs isAttrs isFunction isList isString length listToAttrs map mapAttrs match
    readFile replaceStrings split stringLength substring;

  lib = {
    inherit concatStringsSep elem elemAt filter genList head isAttrs isFunction isList isString length
      mapAttrs replaceStrings;
    inherit (builtins) attrNames attrValues concatMap foldl' removeAttrs;

    genAttrs = names: make: listToAttrs (map (name: { inherit name; value = make name; }) names);
    filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
    mapAttrs' = make: set: listToAttrs (map (name: make name set.${name}) (attrNames set));
    nameValuePair = name: value: { inherit name value; };
    optional = wanted: value: if wanted then [ value ] else [ ];
    optionals = wanted: values: if wanted then values else [ ];
    optionalAttrs = wanted: set: if wanted then set else { };
    toList = value: if isList value then value else [ value ];
    last = list: elemAt list (length list - 1);
    concatStrings = concatStringsSep "";
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    removePrefix = prefix: text:
      if lib.hasPrefix prefix text
      then substring (stringLength prefix) (stringLength text - stringLength prefix) text
      else text;
    splitString = separator: text: filter isString (split (lib.escape separator) text);
    escape = replaceStrings [ "." "/" "+" ] [ "\\." "/" "\\+" ];
    toInt = text: if match "[0-9]+" text == null then throw "no number: ${text}" else fromJSON text;
    importJSON = path: fromJSON (readFile path);
    cleanSourceWith = { src, filter, name ? "source" }: builtins.path { inherit filter name; path = src; };
    literalExpression = text: { _type = "literalExpression"; inherit text; };
    licenses.asl20 = { spdxId = "Apache-2.0"; };
    trivial.release = "26.05";
    platforms.linux = [ "x86_64-linux" "aarch64-linux" ];

    callPackageWith = scope: file: args:
      let
        make = import file;
        missing = filter (name: !(functionArgs make).${name} && !(scope ? ${name}) && !(args ? ${name}))
          (attrNames (functionArgs make));
      in
      if missing == [ ] then make (intersectAttrs (functionArgs make) scope // args)
      else throw "${toString file} wants ${concatStringsSep ", " missing}";
  } // import ./modules.nix { inherit lib; } // { types = import ./types.nix { inherit lib; }; };
in
lib
