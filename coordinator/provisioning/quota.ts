// How many machines a provider and a region may still have. Counts what was asked for and is not proven
// gone, so that a machine that is on its way counts. Reads only: of two calls at the same moment both
// may pass, and then the provider's own limit decides.

import { BilletError } from '#shared/errors.ts';
import type { ResourceName } from '#shared/schema/ids.ts';
import type { ProviderKind } from '#shared/schema/provider.ts';
import type { Provider } from '../providers/provider.ts';
import type { Records } from '../records.ts';

/** What is free below one limit. */
export interface Room {
  /** Infinity without a limit; never below 0. */
  readonly free: number;
  /** Whose limit it is, for people. */
  readonly limit: string;
  /** How it is raised. */
  readonly hint: string;
}

type Limited = Pick<Provider, 'name' | 'machinesMax'>;

/** The tighter of what a provider and, where one is named, its region leave free. */
export async function roomFor(
  records: Records,
  provider: Limited,
  region: ResourceName | null,
): Promise<Room> {
  const own = roomOf(await provided(records, provider));
  if (region === null) return own;
  const there = roomOf(await inRegion(records, region));
  return there.free < own.free ? there : own;
}

/** PROVIDER_QUOTA when `more` machines are too many for the region, or for the provider without one. */
export async function assertRoom(
  records: Records,
  provider: Limited,
  region: ResourceName | null,
  more: number,
): Promise<void> {
  const count = await (region === null ? provided(records, provider) : inRegion(records, region));
  const { limit, used, max, hint } = count;
  if (max === null || used + more <= max) return;
  throw new BilletError(
    'PROVIDER_QUOTA',
    `${limit} has ${used} of ${max} machines; ${more} more are asked for`,
    { hint: `ask for fewer, terminate some, or ${hint}`, details: { used, max } },
  );
}

/** Machines that are, or will be, at the provider. */
export async function machineCount(records: Records, provider: ProviderKind): Promise<number> {
  let count = 0;
  for await (const { record } of records.operations.all())
    if (record.provider === provider) count += 1;
  return count;
}

/** Machines that are, or will be, in the region. */
export async function machinesInRegion(records: Records, region: ResourceName): Promise<number> {
  let count = 0;
  for await (const { record } of records.operations.all()) if (record.region === region) count += 1;
  return count;
}

interface Count extends Omit<Room, 'free'> {
  readonly used: number;
  readonly max: number | null;
}

const roomOf = ({ used, max, limit, hint }: Count): Room => ({
  ...{ limit, hint },
  free: max === null ? Infinity : Math.max(0, max - used),
});

const provided = async (records: Records, { name, machinesMax }: Limited): Promise<Count> => ({
  used: machinesMax === null ? 0 : await machineCount(records, name),
  max: machinesMax,
  limit: name,
  hint: `raise providers.${name}.machinesMax`,
});

async function inRegion(records: Records, region: ResourceName): Promise<Count> {
  const max = (await records.catalog.region.get(region))?.record.spec.machinesMax ?? null;
  return {
    used: max === null ? 0 : await machinesInRegion(records, region),
    max,
    limit: `region ${region}`,
    hint: `raise its machinesMax; billet region show ${region}`,
  };
}
