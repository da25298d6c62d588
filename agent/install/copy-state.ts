// What this boot knows of itself (key, certificate, desired state, boot record) goes to the persist disk.

import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFilesystem } from '../drivers/sync.ts';
import { type SlotRecord, saveSlotRecord } from '../slots/slot-record.ts';
import { mounted, type StepContext } from './step.ts';

/** Nothing is to copy where the data directory of this boot is that disk. Durable when it resolves. */
export async function copyState(
  { ports }: StepContext,
  device: string,
  slots: SlotRecord | null = null,
): Promise<void> {
  const { mounts, dataDir, stateDir } = ports;
  const data = (await mounts.table()).findLast(({ target }) => target === dataDir);
  if (data?.source === device) {
    if (slots !== null) await saveSlotRecord(stateDir, slots);
    return;
  }
  await mounted(ports, { device, type: 'ext4' }, async (dir) => {
    await mkdir(join(dir, 'store'), { recursive: true, mode: 0o755 });
    await mkdir(join(dir, 'var'), { recursive: true, mode: 0o755 });
    const state = join(dir, 'state');
    // Modes go along: the key is 0600.
    await cp(stateDir, state, { recursive: true, preserveTimestamps: true });
    if (slots !== null) await saveSlotRecord(state, slots);
    syncFilesystem(dir);
  });
}
