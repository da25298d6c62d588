// The slot keeper of a running machine: wires what the hand-over says to slots and keeper.

import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { hostMounts } from '../drivers/mounts.ts';
import type { BootedSlot } from '../handover.ts';
import { type SlotKeeper, slotKeeper } from './keeper.ts';
import { openSlots, type SlotsDeps } from './slots.ts';

export interface KeptSlotsDeps extends Pick<SlotsDeps, 'mark' | 'fetch' | 'stateDir'> {
  readonly clock: Clock;
  readonly runDir: string;
}

/** Null where the machine was not started from a slot. */
export function keptSlots(
  slot: BootedSlot | undefined,
  { clock, runDir, ...deps }: KeptSlotsDeps,
): SlotKeeper | null {
  if (slot === undefined) return null;
  const dir = join(runDir, 'slots');
  return slotKeeper({
    clock,
    slots: openSlots({ ...deps, mounts: hostMounts(), dir, boot: slot }),
  });
}
