// A machine for tests of the installer: its disks are loop devices over sparse files, its tools the real
// ones, of the boot image where they make a disk. Firmware, network and vault are played.

import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { cacheDirOf } from '#shared/build-cache.ts';
import { type Clock, systemClock } from '#shared/clock.ts';
import { type MarkerRecord, parseMarker } from '#shared/markers.ts';
import { Desired } from '#shared/schema/desired.ts';
import { Facts } from '#shared/schema/facts.ts';
import type { InstallReport } from '#shared/schema/install-report.ts';
import { bootLog } from '../../agent/boot/boot-log.ts';
import { bootEntries } from '../../agent/drivers/boot-entries.ts';
import { observeDisks } from '../../agent/drivers/disks.ts';
import { type Exec, hostExec } from '../../agent/drivers/exec.ts';
import { hostMounts } from '../../agent/drivers/mounts.ts';
import type { InstallPorts, InstallRequest } from '../../agent/install/ports.ts';
import { loadProfiles } from '../../agent/install/profiles.ts';
import { buildBootRoot } from '../../initramfs/boot-root.ts';
import { type BootWorkshop, bootWorkshop } from './install-boot-fixture.ts';

export const GIB = 2 ** 30;
export const EVENT = 'ie-0123456789abcdef';
export const SERIAL = 'disk-1';
const ANY_SIGNAL = new AbortController().signal;
const BOOT_ID = '11111111-2222-4333-8444-555555555555';
const TREE = join(import.meta.dirname, '../..');

export interface TestDisk {
  /** E.g. loop3. */
  readonly name: string;
  readonly device: string;
  readonly serial: string;
  /** As if its cable were pulled, or put back. */
  present: boolean;
}

export interface TestMachine {
  readonly ports: InstallPorts;
  readonly shop: BootWorkshop;
  readonly reports: InstallReport[];
  readonly lines: string[];
  readonly dir: string;
  readonly efivars: string;
  readonly disks: readonly TestDisk[];
  markers(): MarkerRecord[];
  /** At the end of the test at the latest. */
  dispose(): Promise<void>;
  addDisk(options?: {
    sizeBytes?: number;
    serial?: string;
    sectorBytes?: number;
    readOnly?: boolean;
  }): Promise<TestDisk>;
  request(
    more?: Partial<InstallRequest>,
    plan?: Readonly<Record<string, unknown>>,
    event?: string,
  ): InstallRequest;
}

export async function testMachine(context: TestContext): Promise<TestMachine> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-install-'));
  const disks: TestDisk[] = [];
  const mounts = hostMounts();
  const dispose = async () => {
    const below = (await mounts.table()).filter(({ target }) => target.startsWith(dir));
    for (const { target } of below.reverse()) mounts.unmount(target, { detach: true });
    for (const { device } of disks.splice(0)) await detach(device);
    await rm(dir, { recursive: true, force: true });
  };
  context.after(dispose);
  const shop = await bootWorkshop(context);
  const exec = await TOOLS;
  const [stateDir, efivars] = [join(dir, 'state'), join(dir, 'efivars')];
  for (const path of [stateDir, efivars, join(dir, 'data')]) await mkdir(path, { mode: 0o700 });
  await writeFile(join(stateDir, 'key.pem'), 'the key', { mode: 0o600 });
  const lines: string[] = [];
  const reports: InstallReport[] = [];
  const log = bootLog({
    ...{ say: (line) => lines.push(line), uptimeSeconds: () => 1 },
    path: join(dir, 'markers.jsonl'),
  });
  const clock: Clock = { ...systemClock, sleep: async () => undefined };
  return {
    ...{ shop, reports, lines, dir, efivars, disks, dispose },
    ports: {
      ...{ clock, log, exec, mounts, stateDir, espType: 'ext4' },
      ...{ dataDir: join(dir, 'data'), workDir: join(dir, 'work') },
      observeDisks: () => observeLoops(disks),
      profiles: () => loadProfiles(join(dir, 'profiles')),
      mappingName: async () => null,
      firmware: bootEntries(efivars),
      ...{ vault: null, releaseData: null },
    },
    markers: () => lines.flatMap((line) => parseMarker(line) ?? []),
    async addDisk({
      sizeBytes = 3 * GIB,
      serial = SERIAL,
      sectorBytes = 512,
      readOnly = false,
    } = {}) {
      await copyProfiles(join(dir, 'profiles'));
      const file = join(dir, `${disks.length}.img`);
      await writeFile(file, '');
      await truncate(file, sizeBytes);
      const how = [`--sector-size=${sectorBytes}`, ...(readOnly ? ['--read-only'] : [])];
      const made = await hostExec(['losetup', '--find', '--show', ...how, file], ANY_SIGNAL);
      const device = made.stdout.trim();
      const disk = { name: device.replace('/dev/', ''), device, serial, present: true };
      disks.push(disk);
      return disk;
    },
    request: (more = {}, plan = {}, event = EVENT) => ({
      desired: desiredOf(shop, plan, event),
      ...{ facts: FACTS, bootId: BOOT_ID, policy: shop.policy, dryRun: false },
      uplink: {
        reportInstall: async (report) => void reports.push(report),
        sourceFor: () => shop.layout,
      },
      ...more,
    }),
  };
}

function desiredOf(shop: BootWorkshop, plan: object, event: string): Desired {
  const profile = { profile: 'single-disk', disk: { serial: SERIAL }, ...plan };
  return Desired.parse({
    ...{ format: 1, history: 'h', instance: 'i-0123456789abcdef', node: 'web-1', generation: 7 },
    ...{ bootImage: shop.image, modules: [], systemImage: null, settings: { hostname: 'web-1' } },
    install: { event, plan: profile },
  });
}

const FACTS = Facts.parse({
  ...{ architecture: 'x86_64', kernelRelease: '6.12.1-test', firmware: 'uefi', secureBoot: false },
  ...{ cpuCount: 1, memoryBytes: 1, macs: [], disks: [] },
});

/** The kernel of a test machine need not read partition tables by itself: partx(8) does it. */
async function observeLoops(disks: readonly TestDisk[]) {
  const here = disks.filter(({ present }) => present);
  for (const { device } of here) await hostExec(['partx', '--update', device], ANY_SIGNAL);
  const seen = await observeDisks({ isDisk: (name) => here.some((disk) => disk.name === name) });
  return seen.map((each) => {
    const serial = here.find(({ name }) => name === each.disk.name)?.serial ?? '';
    return { ...each, disk: { ...each.disk, serial, byId: [`virtio-${serial}`] } };
  });
}

async function detach(device: string): Promise<void> {
  await hostExec(['partx', '--delete', device], ANY_SIGNAL);
  await hostExec(['losetup', '--detach', device], ANY_SIGNAL);
}

/** As they are shipped, but for FAT, which the kernel of a test machine need not have. */
async function copyProfiles(to: string): Promise<void> {
  const from = join(TREE, 'initramfs/repart.d');
  for (const profile of await readdir(from)) {
    await mkdir(join(to, profile), { recursive: true });
    for (const name of await readdir(join(from, profile))) {
      const text = await readFile(join(from, profile, name), 'utf8');
      await writeFile(join(to, profile, name), text.replace('Format=vfat', 'Format=ext4'));
    }
  }
}

/** systemd-repart of the boot image, by its own loader and libraries: the host's may be an older one. */
async function bootImageTools(): Promise<Exec> {
  const { root } = await buildBootRoot({
    cacheDir: cacheDirOf(process.env),
    ...{ clock: systemClock, signal: ANY_SIGNAL, progress: () => undefined },
  });
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
  const loader = join(root, 'usr/lib64/ld-linux-x86-64.so.2');
  const path = ['--library-path', `${libraries}:${join(libraries, 'systemd')}`];
  return (argv, signal, input) => {
    const at = argv.indexOf('systemd-repart');
    if (at < 0) return hostExec(argv, signal, input);
    const program = [loader, ...path, join(root, 'usr/bin/systemd-repart')];
    const [first, ...rest] = [...argv.slice(0, at), ...program, ...argv.slice(at + 1)];
    return hostExec([first ?? 'env', ...rest], signal, input);
  };
}

const TOOLS = bootImageTools();
