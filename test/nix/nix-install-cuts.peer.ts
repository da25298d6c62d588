// An installation of a NixOS system is cut off before each of its programs, and nothing is mounted any more:
// the next run finds in the journal on the disk where it stopped, goes on and ends it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { install, installSuite, systemOn } from './nix-install-suite.ts';

const suite = installSuite();

for (const point of [
  'billet-disko',
  'sfdisk',
  'copy',
  '--set',
  'activate',
  'switch-to-configuration',
])
  test(`cut off before ${point}, the next run goes on and ends it`, async (context) => {
    const machine = await suite.machine(context);
    // The first copy is the program's, the second the system's.
    machine.failBefore = point;
    await assert.rejects(install(machine.install(suite.web)), /cut off/);
    assert.equal(machine.reports.at(-1)?.state, 'failed');
    // What a power cut leaves: nothing is mounted.
    execFileSync('sh', ['-c', 'umount --recursive "$0" || true', machine.root], {
      stdio: 'ignore',
    });
    machine.failBefore = null;
    assert.equal((await install(machine.install(suite.web))).kind, 'installed');
    assert.equal(await machine.onDisk(systemOn), suite.web.path);
  });
