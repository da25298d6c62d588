// What the suites that install a NixOS system share: a builder, its cache over HTTP, and a system in it.

import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext } from 'node:test';
import {
  type NixosInstallOutcome,
  runNixosInstall,
} from '../../agent/nix/install/run-nixos-install.ts';
import { type Builder, type BuiltSystem, builder } from './nix-builder-fixture.ts';
import { type CacheServer, serveCache } from './nix-cache-fixture.ts';
import {
  type InstallMachine,
  installable,
  installMachine,
  type Parts,
} from './nix-install-fixture.ts';

export interface InstallSuite {
  /** These two are there as soon as a test runs. */
  readonly make: Builder;
  readonly web: BuiltSystem;
  machine(context: TestContext): Promise<InstallMachine>;
}

/** Made before the tests of the file that calls it, and taken away after them. */
export function installSuite(): InstallSuite {
  const dir = mkdtempSync(join(tmpdir(), 'billet-nixos-build-'));
  let ready: { make: Builder; cache: CacheServer; web: BuiltSystem } | null = null;
  before(async () => {
    const make = builder(join(dir, 'build'));
    const web = installable(make, 'web');
    ready = { make, web, cache: await serveCache(join(dir, 'build/cache')) };
  });
  after(async () => {
    await ready?.cache.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const own = () => {
    if (ready === null) throw new Error('before the first test');
    return ready;
  };
  return {
    get make() {
      return own().make;
    },
    get web() {
      return own().web;
    },
    machine: (context) => installMachine(context, { key: own().make.key, cache: own().cache.url }),
  };
}

const never = new AbortController().signal;

export const install = ({ ports, request, nixos }: Parts): Promise<NixosInstallOutcome> =>
  runNixosInstall(ports, request, nixos, never);

/** What the system profile of an installed root leads to. */
export function systemOn(root: string): string {
  const profiles = join(root, 'nix/var/nix/profiles');
  return readlinkSync(join(profiles, readlinkSync(join(profiles, 'system'))));
}
