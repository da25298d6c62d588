// An installation of a NixOS system is cut off before each of its programs, and nothing is mounted any more:
// the next run finds in the journal on the disk where it stopped, goes on and ends it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runNixosInstall } from '../../agent/nix/install/run-nixos-install.ts';
import { type Builder, type BuiltSystem, builder } from './nix-builder-fixture.ts';
import { type CacheServer, serveCache } from './nix-cache-fixture.ts';
import { installable, installMachine, type Parts } from './nix-install-fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'billet-nixos-cuts-'));
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

const systemOn = (root: string): string => {
  const profiles = join(root, 'nix/var/nix/profiles');
  return readlinkSync(join(profiles, readlinkSync(join(profiles, 'system'))));
};

for (const point of [
  'billet-disko',
  'sfdisk',
  'copy',
  '--set',
  'activate',
  'switch-to-configuration',
])
  test(`cut off before ${point}, the next run goes on and ends it`, async (context) => {
    const machine = await installMachine(context, own());
    // The first copy is the program's, the second the system's.
    machine.failBefore = point;
    await assert.rejects(install(machine.install(web)), /cut off/);
    assert.equal(machine.reports.at(-1)?.state, 'failed');
    // What a power cut leaves: nothing is mounted.
    execFileSync('sh', ['-c', 'umount --recursive "$0" || true', machine.root], {
      stdio: 'ignore',
    });
    machine.failBefore = null;
    assert.equal((await install(machine.install(web))).kind, 'installed');
    assert.equal(await machine.onDisk(systemOn), web.path);
  });
