// A NixOS system is installed on a disk: its own Disko program with the real sfdisk and mkfs on a loop
// device, the closure from a binary cache into the new root, profile, activation and boot loader in it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { InstallUplink } from '../../agent/install/ports.ts';
import type { InstallReport } from '../../shared/schema/install-report.ts';
import { installable } from './nix-install-fixture.ts';
import { install, installSuite, systemOn } from './nix-install-suite.ts';

const suite = installSuite();

function look(root: string) {
  return {
    system: systemOn(root),
    loader: readFileSync(join(root, 'boot/loader'), 'utf8'),
    activated: readFileSync(join(root, 'activated'), 'utf8'),
    key: readFileSync(join(root, 'var/lib/billet/key.pem'), 'utf8'),
    store: readdirSync(join(root, 'nix/store')).length,
  };
}

test('an empty disk is laid out, gets the system, its profile and boot loader, and the key of the node', async (context) => {
  const machine = await suite.machine(context);
  const outcome = await install(machine.install(suite.web));
  assert.equal(outcome.kind, 'installed');
  const found = await machine.onDisk(look);
  assert.equal(found.system, suite.web.path);
  assert.equal(found.loader, 'boot 1\n');
  assert.match(found.activated, /profiles\/system\/activate/);
  assert.equal(found.key, 'the key');
  assert.deepEqual(
    [machine.reports.at(-1)?.state, machine.reports.at(-1)?.progress],
    ['installed', 1],
  );
  const steps = machine.reports.flatMap(({ state, step }) =>
    state === 'installing' ? [step] : [],
  );
  assert.deepEqual(
    [...new Set(steps)],
    ['wipe', 'partition', 'format', 'slot', 'loader', 'state', 'finish'],
  );
});

test('that it is installed is said again where the coordinator did not hear it', async (context) => {
  const machine = await suite.machine(context);
  const { ports, request, nixos } = machine.install(suite.web);
  let deaf = 2;
  const uplink = {
    ...request.uplink,
    async reportInstall(report: InstallReport) {
      if (report.state === 'installed' && deaf-- > 0) throw new Error('it restarts');
      machine.reports.push(report);
    },
  } as InstallUplink;
  await install({ ports, nixos, request: { ...request, uplink } });
  assert.equal(machine.reports.at(-1)?.state, 'installed');
});

test('one event installs once: the same machine from the same medium finds it done', async (context) => {
  const machine = await suite.machine(context);
  await install(machine.install(suite.web));
  machine.ran.length = 0;
  assert.equal((await install(machine.install(suite.web))).kind, 'present');
  assert.ok(!machine.ran.includes('billet-disko'));
  const another = machine.install(suite.web, { event: 'ie-fedcba9876543210' });
  await assert.rejects(install(another), { code: 'INSTALL_DISK_HOLDS_DATA', hint: /--wipe wipe-/ });
  assert.equal(machine.reports.at(-1)?.state, 'refused');
  const { wipeId } = machine.reports.at(-1)?.candidates[0] ?? {};
  const given = { plan: { wipeId }, event: 'ie-fedcba9876543210' };
  assert.equal((await install(machine.install(suite.web, given))).kind, 'installed');
});

test('a disk with data is refused, and a dry run writes nothing', async (context) => {
  const machine = await suite.machine(context);
  const dry = await install(machine.install(suite.web, { dryRun: true }));
  assert.equal(dry.kind, 'planned');
  assert.equal(execFileSync('wipefs', [machine.device]).toString(), '');
  execFileSync('mkfs.ext4', ['-q', machine.device]);
  await assert.rejects(install(machine.install(suite.web)), { code: 'INSTALL_DISK_HOLDS_DATA' });
  assert.match(execFileSync('wipefs', [machine.device]).toString(), /ext4/);
});

test('what could never be installed costs no data: a foreign key, no program, no cache', async (context) => {
  const machine = await suite.machine(context);
  const plain = suite.make.build('plain');
  suite.make.sign(plain.path);
  suite.make.publish(plain.path);
  const failedWith = () => {
    const { state, problem } = machine.reports.at(-1) ?? {};
    return [state, problem?.code];
  };
  const programless = install(machine.install(plain));
  await assert.rejects(programless, { code: 'NIX_CLOSURE_INVALID', hint: /nixosModules\.install/ });
  const foreign = machine.install(suite.web);
  const keys = [{ key: suite.make.foreignKey, systems: true }];
  const refused = install({ ...foreign, nixos: { ...foreign.nixos, keys } });
  await assert.rejects(refused, { code: 'NIX_SIGNATURE_INVALID' });
  assert.deepEqual(failedWith(), ['failed', 'NIX_SIGNATURE_INVALID'], 'the coordinator is told');
  const away = machine.install(suite.web, { closure: { caches: ['http://127.0.0.1:9'] } });
  await assert.rejects(install(away), { code: 'NIX_CACHE_UNREACHABLE' });
  assert.deepEqual(failedWith(), ['failed', 'NIX_CACHE_UNREACHABLE']);
  assert.equal(execFileSync('wipefs', [machine.device]).toString(), '');
});

test('a Disko program that fails or mounts nothing, and a boot loader that hangs, are said', async (context) => {
  const machine = await suite.machine(context);
  const broken = installable(suite.make, 'broken', {
    layout: 'echo "no space for swap" >&2; exit 3',
  });
  const failed = { code: 'NIX_INSTALL_FAILED', message: /ended with 3: [\s\S]*no space for swap/ };
  await assert.rejects(install(machine.install(broken)), failed);
  const unmounted = installable(suite.make, 'unmounted', { layout: 'true' });
  const nothing = {
    code: 'NIX_INSTALL_FAILED',
    message: /mounted nothing/,
    hint: /rootMountPoint/,
  };
  await assert.rejects(install(machine.install(unmounted)), nothing);
  const hanging = installable(suite.make, 'hanging', { bootLoader: 'sleep 60' });
  const hangs = machine.install(hanging, { closure: { activationTimeoutSeconds: 5 } });
  await assert.rejects(install(hangs), { code: 'NIX_ACTIVATION_TIMEOUT' });
  assert.ok(existsSync(machine.root));
  // The same event goes on with a system that works.
  assert.equal((await install(machine.install(suite.web))).kind, 'installed');
});
