# Types of options: what a value may be, and how several definitions become one.
{ lib }:
let
  inherit (builtins) all attrNames concatLists elem head isAttrs isBool isFunction isInt isList isString length match;

  one = location: values:
    if length values == 1 || all (value: value == head values) values then head values
    else throw "The option `${location}' has conflicting definitions";
  leaf = description: check: { inherit description check; merge = one; _type = "option-type"; };
  integer = description: check: leaf description (value: isInt value && check value);
in
rec {
  bool = leaf "boolean" isBool;
  str = leaf "string" isString;
  int = integer "signed integer" (_: true);
  anything = leaf "anything" (_: true);
  raw = anything;
  ints = {
    unsigned = integer "unsigned integer" (value: value >= 0);
    positive = integer "positive integer" (value: value > 0);
    between = low: high: integer "integer between ${toString low} and ${toString high}"
      (value: value >= low && value <= high);
  };
  port = ints.between 0 65535;
  lines = leaf "strings concatenated with \\n" isString // {
    merge = _: builtins.concatStringsSep "\n";
  };
  package = leaf "package" (value: isAttrs value && value ? outPath);
  strMatching = pattern: leaf "string matching the pattern ${pattern}"
    (value: isString value && match pattern value != null);
  enum = values: leaf "one of ${builtins.toJSON values}" (value: elem value values);
  addCheck = type: check: type // { check = value: type.check value && check value; };

  nullOr = type: leaf "null or ${type.description}" (value: value == null || type.check value) // {
    merge = location: values:
      if all (value: value == null) values then null
      else if elem null values then throw "The option `${location}' is null and not"
      else lib.mergeChecked location type values;
  };
  either = a: b: leaf "${a.description} or ${b.description}" (value: a.check value || b.check value);
  listOf = type: leaf "list of ${type.description}" isList // {
    merge = location: values:
      map (value: lib.mergeChecked "${location}.*" type [ value ]) (concatLists values);
  };
  attrsOf = type: leaf "attribute set of ${type.description}" isAttrs // {
    merge = location: values: lib.mapAttrs
      (name: _: lib.mergeLeaf "${location}.${name}" type
        (map (value: value.${name}) (builtins.filter (value: value ? ${name}) values)))
      (builtins.foldl' (all: value: all // value) { } values);
  };
  submodule = module: leaf "submodule" (value: isAttrs value || isFunction value) // {
    merge = location: values: (lib.evalModules {
      prefix = location;
      modules = [ module ] ++ map (value: { config = value; }) values;
      specialArgs.name = location;
    }).config;
  };
}
