// What is done to a machine over Redfish: a medium in, the next boot from it, power; and the medium out
// again. Each step ends when its effect is seen.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Redfish } from './client.ts';
import { resetTypes, untilSeen } from './machine.ts';
import { hasMessage } from './problem.ts';
import { ComputerSystem, VirtualMedia } from './schema.ts';

export interface StepDeps {
  readonly bmc: Redfish;
  readonly clock: Clock;
  /** How long an effect may take to show. */
  readonly effectMs: number;
}

/** Optional parameters of InsertMedia that old services don't know (DSP0268, VirtualMedia). */
const NOT_KNOWN = ['ActionParameterUnknown', 'ActionParameterNotSupported', 'PropertyUnknown'];

export async function insertMedium(
  deps: StepDeps,
  slot: VirtualMedia,
  image: string,
  signal: AbortSignal,
): Promise<void> {
  const { bmc, clock, effectMs } = deps;
  const target = slot.Actions?.['#VirtualMedia.InsertMedia']?.target ?? '';
  const asked = `inserting ${image}`;
  if (slot.Inserted === true && slot.Image === image) return;
  try {
    const body = { Image: image, Inserted: true, WriteProtected: true };
    await bmc.post(target, body, asked, signal);
  } catch (error) {
    if (!hasMessage(error, ...NOT_KNOWN)) throw error;
    await bmc.post(target, { Image: image }, asked, signal);
  }
  await untilSeen(
    bmc,
    clock,
    {
      ...{ path: slot['@odata.id'], schema: VirtualMedia, limitMs: effectMs },
      holds: (seen) => seen.Inserted !== false && seen.Image === image,
      said: () => `${slot.Id} shows no medium`,
    },
    signal,
  );
}

export async function ejectMedium(
  { bmc, clock, effectMs }: StepDeps,
  slot: VirtualMedia,
  signal: AbortSignal,
): Promise<void> {
  const target = slot.Actions?.['#VirtualMedia.EjectMedia']?.target;
  const path = slot['@odata.id'];
  if (target === undefined)
    await bmc.patch(path, { Image: null, Inserted: false }, 'ejecting', signal);
  else await bmc.post(target, {}, 'ejecting the medium', signal);
  await untilSeen(
    bmc,
    clock,
    {
      ...{ path, schema: VirtualMedia, limitMs: effectMs },
      holds: ({ Inserted, Image }) => Inserted !== true || Image == null || Image === '',
      said: () => `${slot.Id} still holds the medium`,
    },
    signal,
  );
}

/** The first of `targets` that the system takes, for one boot; read back. */
export async function bootOnceFrom(
  { bmc, clock, effectMs }: StepDeps,
  system: ComputerSystem,
  targets: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const allowed = system.Boot?.['BootSourceOverrideTarget@Redfish.AllowableValues'];
  const target = targets.find((one) => allowed == null || allowed.includes(one));
  if (target === undefined)
    throw new BilletError('UNSUPPORTED', `the system boots from none of ${targets.join(', ')}`, {
      hint: `it offers ${allowed?.join(', ')}: choose in its one-time boot menu, with --transport manual`,
    });
  const override = {
    BootSourceOverrideEnabled: 'Once',
    BootSourceOverrideTarget: target,
    ...(system.Boot?.BootSourceOverrideMode != null && { BootSourceOverrideMode: 'UEFI' }),
  };
  const path = system['@odata.id'];
  await bmc.patch(path, { Boot: override }, `setting the next boot to ${target}`, signal);
  await untilSeen(
    bmc,
    clock,
    {
      ...{ path, schema: ComputerSystem, limitMs: effectMs },
      holds: ({ Boot }) =>
        Boot?.BootSourceOverrideEnabled === 'Once' && Boot.BootSourceOverrideTarget === target,
      said: ({ Boot }) => `the next boot is still ${Boot?.BootSourceOverrideTarget ?? 'unknown'}`,
    },
    signal,
  );
  return target;
}

/** The override is taken back, if no boot has used it up. */
export async function clearOverride(
  { bmc }: StepDeps,
  system: ComputerSystem,
  signal: AbortSignal,
): Promise<void> {
  const { Boot } = await bmc.get(system['@odata.id'], ComputerSystem, signal);
  if (Boot?.BootSourceOverrideEnabled !== 'Once') return;
  const off = { BootSourceOverrideEnabled: 'Disabled', BootSourceOverrideTarget: 'None' };
  await bmc.patch(system['@odata.id'], { Boot: off }, 'taking the boot override back', signal);
}

/** Off and on again, each seen; a machine that runs is cut off only with `force`. */
export async function freshPower(
  deps: StepDeps,
  system: ComputerSystem,
  force: boolean,
  signal: AbortSignal,
): Promise<void> {
  const path = system['@odata.id'];
  const types = await resetTypes(deps.bmc, system, signal);
  const { PowerState } = await deps.bmc.get(path, ComputerSystem, signal);
  if (PowerState !== 'Off') {
    if (!force)
      throw new BilletError(
        'SMOKE_BLOCKED',
        `the machine is ${PowerState ?? 'in an unknown state'}`,
        {
          hint: 'shut it down first, or cut it off with --force-off: what it runs ends at once',
        },
      );
    await reset(deps, system, one(types, ['ForceOff']), 'Off', signal);
  }
  await reset(deps, system, one(types, ['On', 'ForceOn']), 'On', signal);
}

async function reset(
  { bmc, clock, effectMs }: StepDeps,
  system: ComputerSystem,
  type: string,
  wanted: 'On' | 'Off',
  signal: AbortSignal,
): Promise<void> {
  const target = system.Actions?.['#ComputerSystem.Reset']?.target ?? '';
  await bmc.post(target, { ResetType: type }, `the reset ${type}`, signal);
  await untilSeen(
    bmc,
    clock,
    {
      ...{ path: system['@odata.id'], schema: ComputerSystem, limitMs: effectMs },
      holds: ({ PowerState }) => PowerState === wanted,
      said: ({ PowerState }) => `the power state is ${PowerState ?? 'unknown'}, not ${wanted}`,
    },
    signal,
  );
}

function one(types: readonly string[], wanted: readonly string[]): string {
  const found = wanted.find((type) => types.includes(type));
  if (found !== undefined) return found;
  throw new BilletError('UNSUPPORTED', `the system takes no reset ${wanted.join(' or ')}`, {
    hint: `it takes ${types.join(', ')}: switch it by hand, with --transport manual`,
  });
}
