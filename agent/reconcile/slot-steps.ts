// What the boot slots add to a plan: they are written before a generation with another boot image is
// staged, and mended when all else is done. Decides; never acts.

import type { Desired } from '#shared/schema/desired.ts';
import type { ObservedSlots } from '../slots/keeper.ts';
import { slotWork } from '../slots/work.ts';
import type { Step } from './steps.ts';
import type { Observed, Wanted } from './world.ts';

/** The steps that stage a system, with the slots before them; none as long as nobody knows the slots. */
export function stageSteps(
  { generation, bootImage: image }: Desired,
  slots: ObservedSlots | null,
  system: readonly Step[],
): Step[] {
  const stages = system.some(({ kind }) => kind === 'stage-system');
  if (slots === null || image === null || !stages) return [...system];
  if (slots.state === null) return [];
  const { steps, failed } = slotWork(slots.state, { generation, image, good: false });
  const write: Step = { kind: 'write-slots', generation, image };
  return steps.length > 0 || failed ? [write, ...system] : [...system];
}

/** `runs`: the wanted system is the one that was booted, its boot image among it. */
export function mendSteps(
  { desired, settled }: Wanted,
  { slots }: Observed,
  runs: boolean,
): Step[] {
  if (slots === null || slots.state === null || slots.resting || !runs) return [];
  const { generation, bootImage: image } = desired;
  const wanted = { generation, image, good: settled };
  const { steps, loader } = slotWork(slots.state, wanted);
  return steps.length > 0 || loader ? [{ kind: 'mend-slots', ...wanted }] : [];
}
