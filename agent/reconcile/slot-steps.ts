// What the boot slots add to a plan: they are written before a generation with another boot image is
// staged, and mended when all else is done. Decides; never acts.

import type { Desired } from '#shared/schema/desired.ts';
import type { ObservedSlots } from '../slots/keeper.ts';
import { slotWork } from '../slots/work.ts';
import type { Step } from './steps.ts';
import type { Wanted } from './world.ts';

/**
 * The steps that stage a system. Where its boot image belongs into a slot first, that, and nothing else:
 * it is staged once the slot holds it, and the next boot is sure to take it up.
 */
export function stageSteps(
  { generation, bootImage: image }: Desired,
  slots: ObservedSlots | null,
  system: readonly Step[],
): Step[] {
  const stages = system.some(({ kind }) => kind === 'stage-system');
  if (slots === null || image === null || !stages) return [...system];
  if (slots.state === null) return [];
  const wanted = { generation, image, good: false };
  const { steps, failed } = slotWork(slots.state, wanted);
  if (steps.length === 0 && !failed) return [...system];
  return slots.resting ? [] : [{ kind: 'keep-slots', ...wanted }];
}

/** Of the system that runs. */
export function keepSteps({ desired, settled }: Wanted, slots: ObservedSlots | null): Step[] {
  if (slots === null || slots.state === null || slots.resting) return [];
  const { generation, bootImage: image } = desired;
  const wanted = { generation, image, good: settled };
  const { steps, loader } = slotWork(slots.state, wanted);
  return steps.length > 0 || loader ? [{ kind: 'keep-slots', ...wanted }] : [];
}
