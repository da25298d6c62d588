// What a boot stands on: the slot that it was started from, the data directory, the store in it. Opened
// while the network comes up; moved into memory once, where the disk is to be written anew.

import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SlotsAtBoot } from '../slots/at-boot.ts';
import type { BootSlot } from '../slots/boot-slot.ts';
import type { Store } from '../store/store.ts';
import type { DataDisk } from './data-disk.ts';
import type { BootPorts } from './ports.ts';
import { untilDone } from './stage.ts';

export interface BootStorage {
  readonly data: DataDisk;
  readonly store: Store;
  /** Null: started from a network or a medium. */
  readonly boot: BootSlot | null;
  /** Null there, and where the slots cannot be read. */
  readonly slots: SlotsAtBoot | null;
  /** The data directory is in memory from now on, with the same state and an empty store. */
  moveToMemory(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** A large disk takes its time to be checked, and a person to find a recovery key and type it. */
const DEADLINE_MS = 3_600_000;

export async function stageStorage(ports: BootPorts, signal: AbortSignal): Promise<BootStorage> {
  const { log, paths } = ports;

  async function openStore(data: DataDisk): Promise<Store> {
    const store = await ports.openStore(paths.store);
    log.marker('store-ready', { data: data.kind, device: data.device, verity: store.verity });
    return store;
  }

  const work = async (deadline: AbortSignal) => {
    const boot = await ports.bootSlot(deadline);
    const data = await ports.openDataDisk(boot?.disk ?? null, deadline);
    return { boot, data, store: await openStore(data) };
  };
  const opened = await untilDone(ports, 'store-ready', DEADLINE_MS, work, signal);
  let { data, store } = opened;
  return {
    boot: opened.boot,
    slots: opened.boot === null ? null : await slotsOf(ports, opened.boot),
    get data() {
      return data;
    },
    get store() {
      return store;
    },
    async moveToMemory(moving) {
      const aside = join(paths.run, 'state-aside');
      await cp(paths.state, aside, { recursive: true, preserveTimestamps: true });
      await store.close();
      try {
        await ports.closeDataDisk(moving);
        data = await ports.openMemory(moving);
      } catch (error) {
        // The disk is what it was, and the key of this machine is on it: the next attempt finds both.
        data = await ports.openDataDisk(opened.boot?.disk ?? null, moving);
        store = await openStore(data);
        throw error;
      }
      await cp(aside, paths.state, { recursive: true, preserveTimestamps: true });
      await rm(aside, { recursive: true, force: true });
      store = await openStore(data);
    },
    close: () => store.close(),
  };
}

/** A slot that cannot be looked at does not keep a machine from booting: it has been started from it. */
async function slotsOf(ports: BootPorts, boot: BootSlot): Promise<SlotsAtBoot | null> {
  const { log } = ports;
  try {
    const slots = await ports.slotsAtBoot(boot);
    for (const each of slots.damage) log.failure('boot-slot', each);
    const { slot, entry, good } = slots;
    log.marker('boot-slot', { slot, entry, tries: slots.triesLeft ?? 'uncounted', good });
    return slots;
  } catch (error) {
    log.failure('boot-slot', error);
    return null;
  }
}
