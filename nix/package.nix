# One package of this tree: its bundles (which, setup/package/packages.ts says, as for Debian) and a program
# that starts the first of them with the Node of nixpkgs.
{ lib
, buildNpmPackage
, importNpmLock
, makeWrapper
, nodejs_26
, part
}:
let
  manifest = lib.importJSON ../package.json;
  entry = {
    billet = "billet.mjs";
    billet-agent = "agent.mjs";
    billet-coordinator = "coordinator.mjs";
  }.${part};
  # What is built from: not the tests, and nothing that git does not know.
  folders = [ "agent" "cli" "coordinator" "initramfs" "nix" "setup" "shared" "systemd" ];
  files = [ "package.json" "package-lock.json" "tsconfig.json" "LICENSE" ];
  src = lib.cleanSourceWith {
    name = "billet-source";
    src = ../.;
    filter = path: _type:
      let
        below = lib.removePrefix (toString ../. + "/") (toString path);
      in
      lib.elem (lib.head (lib.splitString "/" below)) (folders ++ files);
  };
in
buildNpmPackage {
  pname = part;
  inherit (manifest) version;
  inherit src;
  nodejs = nodejs_26;

  # The hashes of package-lock.json are enough: no hash of all of them has to be kept up to date here.
  npmDeps = importNpmLock { npmRoot = src; };
  npmConfigHook = importNpmLock.npmConfigHook;
  nativeBuildInputs = [ makeWrapper ];

  dontNpmBuild = true;
  buildPhase = ''
    runHook preBuild
    node nix/bundle.ts ${part} bundles
    runHook postBuild
  '';
  dontNpmInstall = true;
  installPhase = ''
    runHook preInstall
    mkdir -p $out/lib/billet $out/bin
    cp bundles/*.mjs $out/lib/billet/
    makeWrapper ${nodejs_26}/bin/node $out/bin/${part} \
      --set NODE_OPTIONS --disable-warning=ExperimentalWarning \
      --add-flags $out/lib/billet/${entry}
    runHook postInstall
  '';

  passthru.nodejs = nodejs_26;

  meta = {
    inherit (manifest) description;
    license = lib.licenses.asl20;
    mainProgram = part;
    platforms = [ "x86_64-linux" "aarch64-linux" ];
  };
}
