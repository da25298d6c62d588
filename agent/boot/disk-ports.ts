// The disks of the real machine behind the ports of a boot: slots, data disk, installation. Wires; decides
// nothing.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { chooseBootNext } from '../drivers/boot-next.ts';
import { typedLine } from '../drivers/console-input.ts';
import { readLoader } from '../drivers/efi-loader.ts';
import type { Exec } from '../drivers/exec.ts';
import { luks } from '../drivers/luks.ts';
import type { Mounts } from '../drivers/mounts.ts';
import { listPartitions } from '../drivers/partitions.ts';
import { bootPower } from '../drivers/power.ts';
import { withSlotVolume } from '../drivers/slot-volume.ts';
import { assertTpm } from '../drivers/tpm.ts';
import type { RunPaths } from '../handover.ts';
import { cmdlineWords } from '../identity/cmdline.ts';
import { bakedInfo } from '../identity/image.ts';
import { textOrNull } from '../identity/source-file.ts';
import { installPorts } from '../install/machine.ts';
import { runInstall } from '../install/run-install.ts';
import { slotsAtBoot } from '../slots/at-boot.ts';
import { type BootSlot, bootSlotOf } from '../slots/boot-slot.ts';
import { parseEntry } from '../slots/entry-name.ts';
import { openSlots } from '../slots/slots.ts';
import type { BootLog } from './boot-log.ts';
import { loadBootRecord } from './boot-record.ts';
import { type DataDiskDeps, openDataDisk } from './data-disk.ts';
import { diskVault, openVault } from './disk-vault.ts';
import type { BootPorts } from './ports.ts';

export interface DiskDeps {
  readonly clock: Clock;
  readonly log: BootLog;
  readonly paths: RunPaths;
  readonly mounts: Mounts;
  readonly exec: Exec;
  readonly memoryBytes: () => Promise<number>;
}

type DiskPort =
  | 'bootSlot'
  | 'openDataDisk'
  | 'closeDataDisk'
  | 'openMemory'
  | 'slotsAtBoot'
  | 'openSlots'
  | 'install'
  | 'startDiskNext'
  | 'restart';

/** QEMU docs/specs/fw_cfg.rst: a recovery key for a machine whose TPM was lost with its hypervisor. */
const GIVEN_KEY = '/sys/firmware/qemu_fw_cfg/by_name/opt/billet/recovery/raw';
/** On the ESP: why the firmware was asked for this disk. */
const NOTE = 'billet-restarted';
/** What an installation calls its entry of the firmware's boot menu. */
const ENTRY = 'Billet';

export function diskPorts(deps: DiskDeps): Pick<BootPorts, DiskPort> {
  const { clock, log, paths, mounts, exec } = deps;
  const vault = luks({ exec, runDir: paths.run });
  const volume = { mounts, dir: join(paths.run, 'slots') };
  const dataDeps = (bootDisk: string | null): DataDiskDeps => ({
    ...deps,
    bootDisk,
    warn: (error) => log.failure('store-ready', error),
    openVault: (partition, signal) =>
      bootDisk === null
        ? vault.unlock(partition, signal)
        : openVault({ luks: vault, log, givenKey, typedKey: typedLine }, partition, signal),
  });
  return {
    bootSlot: (signal) => findBootSlot(clock, signal),
    openDataDisk: (bootDisk, signal) => openDataDisk(dataDeps(bootDisk), signal),
    async closeDataDisk(signal) {
      mounts.unmount(paths.data);
      await vault.lock(signal);
    },
    openMemory: (signal) =>
      openDataDisk({ ...dataDeps(null), findPersist: async () => null }, signal),
    slotsAtBoot: (boot) => slotsAtBoot(volume, paths.state, boot),
    openSlots: (boot, fetch) =>
      openSlots({
        ...{ mounts, dir: volume.dir, stateDir: paths.state, boot, fetch },
        mark: (...marker) => log.marker(...marker),
      }),
    async install(request, releaseData, signal) {
      const words = cmdlineWords(await readFile('/proc/cmdline', 'utf8'));
      const dryRun = words.includes('billet.install=dry-run');
      const imageName = (await bakedInfo())?.name;
      const { record } = await loadBootRecord(paths.state);
      const floor = imageName === undefined ? undefined : record.floors[imageName];
      const image = {
        ...(imageName === undefined ? {} : { imageName }),
        ...(floor === undefined ? {} : { floor }),
      };
      return await runInstall(
        installPorts({
          ...{ clock, log, exec, mounts, paths, releaseData },
          vault: diskVault({ luks: vault, assertTpm: () => assertTpm() }),
        }),
        { ...request, ...image, dryRun },
        signal,
      );
    },
    startDiskNext: ({ esp }, reason) =>
      withSlotVolume(volume, esp, async (on) => {
        const noted = sha256(reason);
        if ((await on.digest(NOTE)) === noted || !(await chooseBootNext(ENTRY))) return false;
        await on.write(NOTE, [Buffer.from(reason)], noted);
        return true;
      }),
    restart: (signal) => bootPower({ exec }).restart(signal),
  };
}

async function givenKey(): Promise<string | null> {
  return (await textOrNull(GIVEN_KEY))?.replace(/[\0\s]+$/, '') ?? null;
}

/** Of a disk that shows itself late: the loader has seen it already. */
const WAIT_MS = 15_000;
const POLL_MS = 250;

/** Null where no loader of ours was at work. Throws STORE_FAILED while the kernel does not see the disk. */
async function findBootSlot(clock: Clock, signal: AbortSignal): Promise<BootSlot | null> {
  const loader = await readLoader();
  if (loader === null || parseEntry(loader.entry ?? '') === null) return null;
  for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs += POLL_MS) {
    const found = bootSlotOf(loader, await listPartitions());
    if (found !== null) return found;
    await clock.sleep(POLL_MS, signal);
  }
  throw new BilletError('STORE_FAILED', `no disk has the boot slots that ${loader.entry} is of`, {
    hint: 'look at the disk and its controller: dmesg | tail; a driver may be missing in the boot image',
  });
}
