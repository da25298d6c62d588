# A unit of systemd/ as NixOS declares units: everything in it stands, only the paths of the programs change.
{ lib, file, package }:
let
  unit = import ../systemd-unit.nix (builtins.readFile file);
  list = lib.toList;
in
{
  description = unit.Unit.Description;
  after = list (unit.Unit.After or [ ]);
  wants = list (unit.Unit.Wants or [ ]);
  wantedBy = list unit.Install.WantedBy;
  unitConfig = removeAttrs unit.Unit [ "Description" "Documentation" "After" "Wants" ];
  serviceConfig = unit.Service // {
    ExecStart = lib.replaceStrings
      [ "/usr/lib/billet/node " "/usr/lib/billet/" ]
      [ "${package.nodejs}/bin/node " "${package}/lib/billet/" ]
      unit.Service.ExecStart;
  };
  # One move, not two: what stops first could not be started by what stopped it.
  stopIfChanged = false;
}
