# A systemd unit file (systemd.syntax(7)) as attributes: section, key, value; a list where a key stands more
# than once. What the tree ships in systemd/ is so the one source of the units of NixOS, too.
text:
let
  inherit (builtins) elemAt filter foldl' head isString length mapAttrs match split substring;
  lines = filter (line: isString line && line != "" && substring 0 1 line != "#") (split "\n" text);
  step = found: line:
    let
      section = match "\\[([A-Za-z]+)]" line;
      pair = match "([A-Za-z]+)=(.*)" line;
      here = found.sections.${found.current} or { };
      key = elemAt pair 0;
    in
    if section != null then found // { current = head section; }
    else if pair == null || found.current == null then throw "not a line of a unit file: ${line}"
    else found // {
      sections = found.sections // {
        ${found.current} = here // { ${key} = (here.${key} or [ ]) ++ [ (elemAt pair 1) ]; };
      };
    };
  parsed = foldl' step { current = null; sections = { }; } lines;
  single = values: if length values == 1 then head values else values;
in
mapAttrs (_: mapAttrs (_: single)) parsed.sections
