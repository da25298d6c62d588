// The flake, evaluated by the real Nix with a stub of nixpkgs (there is none in reach, so nothing here is
// built with it): every output whole, wrong options refused, units as hardened as those of systemd/.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AgentConfig } from '../../agent/config.ts';
import { INSTALL_DISK, PROGRAMS } from '../../agent/nix/install/programs.ts';
import { parseConfig } from '../../coordinator/config.ts';
import { SourceIdentity } from '../../shared/schema/identity.ts';
import { TrustPolicy } from '../../shared/schema/trust-policy.ts';
import { evaluate, flake, TREE } from './nix-flake-fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'billet-flake-'));
const store = join(dir, 'store');
const tree = join(dir, 'tree');
before(() => {
  // Not a Git repository, nor node_modules: what the flake reads, and what it is built from.
  for (const name of ['flake.nix', 'nix', 'systemd', 'package.json', 'package-lock.json'])
    cpSync(join(TREE, name), join(tree, name), { recursive: true });
});
after(() => rmSync(dir, { recursive: true, force: true }));

const SYSTEMS = ['x86_64-linux', 'aarch64-linux'];
const PEM =
  '-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n-----END PUBLIC KEY-----\\n';
const RULES = `trustPolicy.rules = [ { modules = [ "web-*" ]; keys = [ "${PEM}" ]; minimumSequence = 3; } ];`;
const KEY = `fleet-1:${'A'.repeat(43)}=`;
const CA = `sha256:${'0'.repeat(64)}`;
const PUBLIC = `coordinator = "https://fleet.example.org:8443"; ca = "${CA}";`;
const agentWith = (more: string) =>
  `machine { services.billet.agent = { enable = true; ${RULES} ${more} }; }`;
const coordinatorWith = (more: string) =>
  `machine { services.billet.coordinator = { enable = true; ${more} }; }`;

test('nix flake reads it: packages, overlay, modules, configurations, checks, shell, formatter', () => {
  flake(store, tree, 'check', '--no-build');
  const shown = JSON.parse(flake(store, tree, 'show', '--json'));
  const names = ['billet', 'billet-agent', 'billet-coordinator', 'default'];
  for (const system of SYSTEMS) {
    assert.deepEqual(Object.keys(shown.packages[system]), names);
    assert.equal(shown.devShells[system].default.type, 'derivation');
    assert.equal(shown.formatter[system].type, 'derivation');
  }
  assert.deepEqual(Object.keys(shown.nixosModules), ['agent', 'coordinator', 'default', 'install']);
  assert.deepEqual(Object.keys(shown.nixosConfigurations), ['iso', 'netboot']);
  assert.equal(shown.overlays.default.type, 'nixpkgs-overlay');
});

test('every output is a derivation down to the last of its inputs', () => {
  const found = evaluate(
    store,
    `{
      packages = lib.mapAttrs (_: lib.mapAttrs (_: each: each.drvPath)) {
        inherit (flake) packages checks devShells;
        formatter = flake.formatter;
      }.packages;
      checks = lib.mapAttrs (_: lib.mapAttrs (_: each: each.drvPath)) flake.checks;
      shells = lib.mapAttrs (_: each: each.default.drvPath) flake.devShells;
      formatter = lib.mapAttrs (_: each: each.drvPath) flake.formatter;
      images = lib.mapAttrs
        (_: each: lib.mapAttrs (_: part: part.drvPath) each.config.system.build)
        flake.nixosConfigurations;
    }`,
  );
  const paths = JSON.stringify(found).match(/\/nix\/store\/[a-z0-9]{32}-[^"]+\.drv/g) ?? [];
  assert.ok(paths.length >= 22, `${paths.length}`);
  assert.match(JSON.stringify(found), /iso\.drv.*ramdisk\.drv/);
});

for (const name of ['agent', 'coordinator'])
  test(`the unit of the ${name} is the one that the tree ships, with the paths of its package`, () => {
    const machine = name === 'agent' ? agentWith('') : coordinatorWith('');
    const wanted = serviceOf(readFileSync(join(TREE, `systemd/billet-${name}.service`), 'utf8'));
    const unit = `(${machine}).systemd.services.billet-${name}`;
    const found = evaluate(store, `{ inherit (${unit}) serviceConfig wantedBy unitConfig; }`) as {
      readonly serviceConfig: Record<string, string>;
      readonly wantedBy: string[];
    };
    const { ExecStart = '', ...rest } = found.serviceConfig;
    const { ExecStart: command, ...others } = wanted;
    // Nix remounts its store in a mount name space of its own; nothing else may differ.
    const differs = name === 'agent' ? { RestrictNamespaces: 'mnt' } : {};
    assert.deepEqual(rest, { ...others, ...differs });
    const generic = ExecStart.replaceAll(/\/nix\/store\/[a-z0-9]{32}-/g, '')
      .replace(/^nodejs_26-[^/]*\/bin\/node/, '/usr/lib/billet/node')
      .replace(new RegExp(`billet-${name}-[^/]*/lib/billet/`), '/usr/lib/billet/');
    assert.equal(generic, command);
    assert.deepEqual(found.wantedBy, ['multi-user.target']);
  });

test('the files that the modules write are what agent and coordinator read', () => {
  const etc = (machine: string, name: string) =>
    JSON.parse(evaluate(store, `(${machine}).environment.etc."billet/${name}".text`) as string);
  const nixKeys = `trustPolicy.nixKeys = [ { key = "${KEY}"; systems = false; } ];`;
  const agent = agentWith(`${PUBLIC} ${nixKeys}`);
  const policy = TrustPolicy.parse(etc(agent, 'trust-policy.json'));
  assert.deepEqual(policy.nixKeys, [{ key: KEY, systems: false }]);
  assert.deepEqual([policy.mode, policy.rules[0]?.minimumSequence], ['enforce', 3]);
  assert.equal(SourceIdentity.parse(etc(agent, 'identity.json')).ca, CA);
  AgentConfig.parse(etc(agent, 'agent.json'));
  const secret = agentWith('identityFile = "/run/keys/identity.json";');
  assert.equal(
    AgentConfig.parse(etc(secret, 'agent.json')).identityFile,
    '/run/keys/identity.json',
  );
  const open = coordinatorWith(
    'listen = "0.0.0.0:8443"; bootListen = null; url = "https://fleet.example.org:8443"; openFirewall = true;',
  );
  const config = parseConfig(etc(open, 'coordinator.json'));
  assert.deepEqual([config.listen, config.bootListen], ['0.0.0.0:8443', null]);
  assert.deepEqual(evaluate(store, `(${open}).networking.firewall.allowedTCPPorts`), [8443]);
});

test('another trust policy, or another coordinator, restarts who has read the one before', () => {
  const triggers = (name: string, machine: string) =>
    JSON.stringify(evaluate(store, `(${machine}).systemd.services.billet-${name}.restartTriggers`));
  const nixKeys = `trustPolicy.nixKeys = [ { key = "${KEY}"; } ];`;
  assert.notEqual(triggers('agent', agentWith(nixKeys)), triggers('agent', agentWith('')));
  assert.match(triggers('agent', agentWith(PUBLIC)), /fleet\.example\.org/);
  const beating = coordinatorWith('heartbeatSeconds = 7;');
  assert.match(triggers('coordinator', beating), /heartbeatSeconds.*7/);
});

const REFUSED: readonly (readonly [why: string, machine: string, said: RegExp])[] = [
  [
    'a mode that is none',
    agentWith('trustPolicy.mode = "enforced";'),
    /trustPolicy\.mode.*not of type.*one of/,
  ],
  ['a port as listen', coordinatorWith('listen = 8443;'), /coordinator\.listen.*not of type/],
  [
    'plain HTTP to the coordinator',
    agentWith(`coordinator = "http://a"; ca = "${CA}";`),
    /agent\.coordinator.*https/,
  ],
  [
    'a short fingerprint',
    agentWith('coordinator = "https://a"; ca = "sha256:00";'),
    /agent\.ca.*SHA-256/,
  ],
  [
    'an identity in the Nix store',
    agentWith('identityFile = "/nix/store/x-identity.json";'),
    /identityFile.*outside of the Nix store/,
  ],
  [
    'an identity as a path literal',
    agentWith('identityFile = /etc/identity.json;'),
    /identityFile.*as a string/,
  ],
  [
    'a Nix key that is none',
    agentWith('trustPolicy.nixKeys = [ { key = "fleet-1"; } ];'),
    /nixKeys.*not of type/,
  ],
  [
    'an option that does not exist',
    agentWith('trustpolicy.mode = "off";'),
    /trustpolicy' does not exist/,
  ],
  [
    'a rule with another field',
    'machine { services.billet.agent = { enable = true; trustPolicy.rules = [ { modules = [ "*" ]; key = "a"; } ]; }; }',
    /key' does not exist/,
  ],
  ['heartbeats every 0 s', coordinatorWith('heartbeatSeconds = 0;'), /between 1 and 3600/],
  ['another state directory', agentWith('stateDir = "/srv";'), /read-only/],
  ['no rule at all', 'machine { services.billet.agent.enable = true; }', /rules is empty/],
  ['a coordinator without its CA', agentWith('coordinator = "https://a";'), /go together/],
  ['two identities', agentWith(`${PUBLIC} identityFile = "/run/a";`), /keep one of them/],
  [
    'a public listener without a name',
    coordinatorWith('listen = "0.0.0.0:8443";'),
    /need a url, or names/,
  ],
];

for (const [why, machine, said] of REFUSED)
  test(`refused, and said why: ${why}`, () => {
    const all = `(let m = ${machine}; in [ m.system.build.toplevel.drvPath m.systemd.services m.environment.etc m.services.billet.agent.stateDir ])`;
    assert.throws(() => evaluate(store, all), said);
  });

test('a system that is to be installed has the programs that the installer looks for', () => {
  const scripts = `{ pkgs, ... }: {
    imports = [ flake.nixosModules.install ];
    system.build.diskoScript = pkgs.runCommand "disko" { } "";
    system.build.mountScript = pkgs.runCommand "mount" { } "";
  }`;
  const machine = `(machine (${scripts}))`;
  const found = evaluate(
    store,
    `{ inherit (${machine}.system) extraSystemBuilderCmds; inherit (${machine}.services.billet.install) disk; }`,
  ) as { readonly extraSystemBuilderCmds: string; readonly disk: string };
  assert.equal(found.disk, INSTALL_DISK);
  for (const name of Object.values(PROGRAMS))
    assert.match(found.extraSystemBuilderCmds, new RegExp(`/nix/store/[a-z0-9]{32}-${name} `));
});

test('a package is built from what its bundles need: they are bundled from its source alone', () => {
  const source = evaluate(store, 'toString flake.packages.x86_64-linux.billet-agent.src', [
    '--read-write-mode',
  ]);
  const copy = join(dir, 'source');
  cpSync(join(store, String(source)), copy, { recursive: true });
  symlinkSync(join(TREE, 'node_modules'), join(copy, 'node_modules'));
  for (const name of ['billet', 'billet-agent', 'billet-coordinator'])
    execFileSync(process.execPath, ['nix/bundle.ts', name, join(dir, name)], { cwd: copy });
  const version = execFileSync(process.execPath, [join(dir, 'billet/billet.mjs'), 'version']);
  assert.match(version.toString(), /\d+\.\d+\.\d+/);
});

/** The section [Service]; a list where a key stands more than once. */
function serviceOf(text: string): Record<string, string | string[]> {
  const section = text.slice(text.indexOf('[Service]'), text.indexOf('[Install]'));
  const found: Record<string, string | string[]> = {};
  for (const [, key = '', value = ''] of section.matchAll(/^([A-Za-z]+)=(.*)$/gm)) {
    const known = found[key];
    found[key] = known === undefined ? value : [known, value].flat();
  }
  return found;
}
