// The one machine of a BMC, by Redfish: found, described, and observed until it is as it should be. A
// BMC that says "done" is believed when the resource shows it.

import type { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Redfish } from './client.ts';
import { ActionInfo, Collection, ComputerSystem, Manager, VirtualMedia } from './schema.ts';

const POLL_MS = 2000;

/** The system `id`, or the only one. Throws ARGUMENT_INVALID where it is not clear which. */
export async function findSystem(
  bmc: Redfish,
  id: string | null,
  signal: AbortSignal,
): Promise<ComputerSystem> {
  const at = bmc.root.Systems?.['@odata.id'];
  if (at === undefined) throw lacking('no systems');
  const { Members } = await bmc.get(at, Collection, signal);
  const systems: ComputerSystem[] = [];
  for (const member of Members)
    systems.push(await bmc.get(member['@odata.id'], ComputerSystem, signal));
  const found = id === null ? systems : systems.filter((one) => one.Id === id);
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const ids = systems.map(({ Id }) => Id).join(', ');
  throw new BilletError(
    'ARGUMENT_INVALID',
    id === null ? `the BMC has several systems: ${ids}` : `the BMC has no system ${id}, but ${ids}`,
    { hint: 'say which with --system' },
  );
}

/**
 * A slot that takes an ISO and is empty, or holds just this image: of the system (DSP0268,
 * ComputerSystem 1.13 on), else of its managers.
 */
export async function findSlot(
  bmc: Redfish,
  system: ComputerSystem,
  image: string | null,
  signal: AbortSignal,
): Promise<VirtualMedia> {
  const collections = await mediaCollections(bmc, system, signal);
  const slots: VirtualMedia[] = [];
  for (const at of collections)
    for (const member of (await bmc.get(at, Collection, signal)).Members)
      slots.push(await bmc.get(member['@odata.id'], VirtualMedia, signal));
  const fit = slots.filter(
    (slot) =>
      slot.Actions?.['#VirtualMedia.InsertMedia'] != null &&
      (slot.MediaTypes ?? ['CD']).some((type) => ['CD', 'DVD'].includes(type)),
  );
  if (fit.length === 0) throw lacking('no virtual CD or DVD that an image can be inserted into');
  const free = fit.find((slot) => slot.Inserted !== true || slot.Image === image);
  if (free !== undefined) return free;
  throw new BilletError(
    'BMC_FAILED',
    `every virtual drive is taken: ${fit[0]?.Image ?? 'by something'}`,
    {
      hint: 'somebody may be using it: eject it in the BMC when it is not needed any more',
    },
  );
}

async function mediaCollections(bmc: Redfish, system: ComputerSystem, signal: AbortSignal) {
  const own = system.VirtualMedia?.['@odata.id'];
  if (own !== undefined) return [own];
  const found: string[] = [];
  for (const manager of system.Links?.ManagedBy ?? []) {
    const { VirtualMedia: media } = await bmc.get(manager['@odata.id'], Manager, signal);
    if (media != null) found.push(media['@odata.id']);
  }
  return found;
}

/** The reset types that the service takes: on the action, or in its ActionInfo. */
export async function resetTypes(
  bmc: Redfish,
  system: ComputerSystem,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const reset = system.Actions?.['#ComputerSystem.Reset'];
  if (reset == null) throw lacking('no way to switch the machine on');
  const listed = reset['ResetType@Redfish.AllowableValues'];
  if (listed != null) return listed;
  const info = reset['@Redfish.ActionInfo'];
  if (info == null) return ['On', 'ForceOff'];
  const { Parameters } = await bmc.get(info, ActionInfo, signal);
  return Parameters.find(({ Name }) => Name === 'ResetType')?.AllowableValues ?? [];
}

/** Reads `path` until `holds`. Throws BMC_FAILED: the BMC said that it was done, and it is not. */
export async function untilSeen<S extends z.ZodType>(
  bmc: Redfish,
  clock: Clock,
  { path, schema, holds, limitMs, said }: Sight<S>,
  signal: AbortSignal,
): Promise<void> {
  const limit = clock.monotonic() + limitMs;
  for (;;) {
    const seen = await bmc.get(path, schema, signal);
    if (holds(seen)) return;
    if (clock.monotonic() > limit)
      throw new BilletError(
        'BMC_FAILED',
        `${said(seen)}, ${limitMs / 1000} s after the BMC took it`,
        {
          hint: 'look at the machine itself: this BMC says that it did what it did not do; restart the BMC, or use --transport manual',
        },
      );
    await clock.sleep(POLL_MS, signal);
  }
}

interface Sight<S extends z.ZodType> {
  readonly path: string;
  readonly schema: S;
  readonly holds: (seen: z.infer<S>) => boolean;
  readonly limitMs: number;
  /** What is seen instead. */
  readonly said: (seen: z.infer<S>) => string;
}

const lacking = (what: string) =>
  new BilletError('UNSUPPORTED', `the BMC offers ${what} over Redfish`, {
    hint: 'is the licence for it there? else use --transport manual, or ipmi',
  });
