// A NixOS system is installed on a disk: its own Disko program with the real sfdisk and mkfs on a loop
// device, the closure from a binary cache into the new root, profile, activation and boot loader in it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runNixosInstall } from '../../agent/nix/install/run-nixos-install.ts';
import { type Builder, type BuiltSystem, builder } from './nix-builder-fixture.ts';
import { type CacheServer, serveCache } from './nix-cache-fixture.ts';
import { installable, installMachine, type Parts } from './nix-install-fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'billet-nixos-build-'));
const never = new AbortController().signal;
let make: Builder;
let cache: CacheServer;
let web: BuiltSystem;

before(async () => {
  make = builder(join(dir, 'build'));
  web = installable(make, 'web');
  cache = await serveCache(join(dir, 'build/cache'));
});
after(async () => {
  await cache.close();
  rmSync(dir, { recursive: true, force: true });
});

const own = () => ({ key: make.key, cache: cache.url });
const install = ({ ports, request, nixos }: Parts) => runNixosInstall(ports, request, nixos, never);

function look(root: string) {
  const profile = join(root, 'nix/var/nix/profiles/system');
  return {
    system: readlinkSync(join(root, 'nix/var/nix/profiles', readlinkSync(profile))),
    loader: readFileSync(join(root, 'boot/loader'), 'utf8'),
    activated: readFileSync(join(root, 'activated'), 'utf8'),
    key: readFileSync(join(root, 'var/lib/billet/key.pem'), 'utf8'),
    store: readdirSync(join(root, 'nix/store')).length,
  };
}

test('an empty disk is laid out, gets the system, its profile and boot loader, and the key of the node', async (context) => {
  const machine = await installMachine(context, own());
  const outcome = await install(machine.install(web));
  assert.equal(outcome.kind, 'installed');
  const found = await machine.onDisk(look);
  assert.equal(found.system, web.path);
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

test('one event installs once: the same machine from the same medium finds it done', async (context) => {
  const machine = await installMachine(context, own());
  await install(machine.install(web));
  machine.ran.length = 0;
  assert.equal((await install(machine.install(web))).kind, 'present');
  assert.ok(!machine.ran.includes('billet-disko'));
  const another = machine.install(web, { event: 'ie-fedcba9876543210' });
  await assert.rejects(install(another), { code: 'INSTALL_DISK_HOLDS_DATA', hint: /--wipe wipe-/ });
  assert.equal(machine.reports.at(-1)?.state, 'refused');
  const { wipeId } = machine.reports.at(-1)?.candidates[0] ?? {};
  const given = { plan: { wipeId }, event: 'ie-fedcba9876543210' };
  assert.equal((await install(machine.install(web, given))).kind, 'installed');
});

test('a disk with data is refused, and a dry run writes nothing', async (context) => {
  const machine = await installMachine(context, own());
  const dry = await install(machine.install(web, { dryRun: true }));
  assert.equal(dry.kind, 'planned');
  assert.equal(execFileSync('wipefs', [machine.device]).toString(), '');
  execFileSync('mkfs.ext4', ['-q', machine.device]);
  await assert.rejects(install(machine.install(web)), { code: 'INSTALL_DISK_HOLDS_DATA' });
  assert.match(execFileSync('wipefs', [machine.device]).toString(), /ext4/);
});

test('what could never be installed costs no data: a foreign key, no program, no cache', async (context) => {
  const machine = await installMachine(context, own());
  const plain = make.build('plain');
  make.sign(plain.path);
  make.publish(plain.path);
  const programless = install(machine.install(plain));
  await assert.rejects(programless, { code: 'NIX_CLOSURE_INVALID', hint: /nixosModules\.install/ });
  const foreign = machine.install(web);
  const keys = [{ key: make.foreignKey, systems: true }];
  const refused = install({ ...foreign, nixos: { ...foreign.nixos, keys } });
  await assert.rejects(refused, { code: 'NIX_SIGNATURE_INVALID' });
  const away = machine.install(web, { closure: { caches: ['http://127.0.0.1:9'] } });
  await assert.rejects(install(away), { code: 'NIX_CACHE_UNREACHABLE' });
  assert.equal(execFileSync('wipefs', [machine.device]).toString(), '');
});

test('a Disko program that fails or mounts nothing, and a boot loader that hangs, are said', async (context) => {
  const machine = await installMachine(context, own());
  const broken = installable(make, 'broken', { layout: 'echo "no space for swap" >&2; exit 3' });
  const failed = { code: 'NIX_INSTALL_FAILED', message: /ended with 3: [\s\S]*no space for swap/ };
  await assert.rejects(install(machine.install(broken)), failed);
  const unmounted = installable(make, 'unmounted', { layout: 'true' });
  const nothing = {
    code: 'NIX_INSTALL_FAILED',
    message: /mounted nothing/,
    hint: /rootMountPoint/,
  };
  await assert.rejects(install(machine.install(unmounted)), nothing);
  const hanging = installable(make, 'hanging', { bootLoader: 'sleep 60' });
  const hangs = machine.install(hanging, { closure: { activationTimeoutSeconds: 5 } });
  await assert.rejects(install(hangs), { code: 'NIX_ACTIVATION_TIMEOUT' });
  assert.ok(existsSync(machine.root));
  // The same event goes on with a system that works.
  assert.equal((await install(machine.install(web))).kind, 'installed');
});
