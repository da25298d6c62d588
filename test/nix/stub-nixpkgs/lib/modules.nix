# Modules: options, definitions, conditions and priorities. Strict: a definition without an option, a value of
# another type, an option that is used and not defined are errors, in the words of nixpkgs.
{ lib }:
let
  inherit (builtins) attrNames concatLists concatMap concatStringsSep elem filter foldl' head isAttrs
    isFunction length map mapAttrs;

  isOption = value: isAttrs value && value._type or null == "option";
  kindOf = value: if isAttrs value then value._type or null else null;
  DEFAULT = 1500;
  PLAIN = 100;

  # The parts of a set of definitions, with conditions and priorities moved down to each of its attributes:
  # so that names are known without the conditions, which may depend on them.
  pushDown = definition:
    let kind = kindOf definition; in
    if kind == "merge" then concatMap pushDown definition.contents
    else if kind == "if" || kind == "override"
    then map (mapAttrs (_: content: definition // { inherit content; })) (pushDown definition.content)
    else [ definition ];

  # The values of one option: { priority, value }, without those whose condition does not hold.
  discharge = priority: definition:
    let kind = kindOf definition; in
    if kind == "merge" then concatMap (discharge priority) definition.contents
    else if kind == "if" then (if definition.condition then discharge priority definition.content else [ ])
    else if kind == "override" then discharge definition.priority definition.content
    else [{ inherit priority; value = definition; }];

  mergeChecked = location: type: values:
    let wrong = filter (value: !(type.check value)) values; in
    if wrong == [ ] then type.merge location values
    else throw "A definition for option `${location}' is not of type `${type.description}'.";

  mergeLeaf = location: type: definitions:
    let
      found = concatMap (discharge PLAIN) definitions;
      strongest = foldl' (least: each: if each.priority < least then each.priority else least) 9999 found;
      values = map (each: each.value) (filter (each: each.priority == strongest) found);
    in
    if values == [ ] then throw "The option `${location}' is used but not defined."
    else mergeChecked location type values;

  evalOption = location: option: definitions:
    let
      isSet = concatMap (discharge PLAIN) definitions != [ ];
      default = lib.optional (option ? default) (lib.mkOverride DEFAULT option.default);
    in
    if !(option ? type) || !(option ? description) && !(option.internal or false)
    then throw "The option `${location}' has no type or no description."
    else if isSet && (option.readOnly or false) then throw "The option `${location}' is read-only."
    else mergeLeaf location option.type (definitions ++ default);

  nameIn = location: name: if location == "" then name else "${location}.${name}";

  evalTree = location: tree: definitions:
    if isOption tree then evalOption location tree definitions
    else
      let
        parts = concatMap pushDown definitions;
        at = name: map (part: part.${name}) (filter (part: part ? ${name}) parts);
        unknown = filter (name: !(tree ? ${name})) (concatMap attrNames parts);
      in
      if unknown != [ ] then throw "The option `${nameIn location (head unknown)}' does not exist."
      else mapAttrs (name: below: evalTree (nameIn location name) below (at name)) tree;

  mergeOptions = a: b:
    if isOption a || isOption b then throw "an option is declared twice"
    else a // mapAttrs (name: value: if a ? ${name} then mergeOptions a.${name} value else value) b;
in
{
  mkOption = option: option // { _type = "option"; };
  mkEnableOption = what: lib.mkOption {
    type = lib.types.bool;
    default = false;
    description = "Whether to enable ${what}.";
  };
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkDefault = lib.mkOverride 1000;
  mkForce = lib.mkOverride 50;
  inherit mergeChecked mergeLeaf;

  evalModules = { modules, specialArgs ? { }, prefix ? "" }:
    let
      args = { inherit lib config options; } // specialArgs;
      load = module:
        let
          value = if isAttrs module || isFunction module then module else import module;
          set = if isFunction value then value args else value;
        in
        if set ? config || set ? options
        then { imports = [ ]; options = { }; config = { }; } // set
        else { imports = set.imports or [ ]; options = { }; config = removeAttrs set [ "imports" ]; };
      collect = module: let loaded = load module; in concatMap collect loaded.imports ++ [ loaded ];
      all = concatMap collect modules;
      options = foldl' mergeOptions { } (map (module: module.options) all);
      config = evalTree prefix options (map (module: module.config) all);
    in
    { inherit config options; };
}
