// What stands on one side only: machines at a provider that no live instance has, and live instances
// whose machine is not there. Found and listed; removed only by a person who names one.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type {
  Leftover,
  MachineState,
  OperationKey,
  ProviderKind,
} from '#shared/schema/provider.ts';
import type { InstanceState } from '#shared/schema/records.ts';
import type { InstanceRecord } from '../nodes/records.ts';
import type { Provider, Providers } from '../providers/provider.ts';
import type { Records } from '../records.ts';
import { commitAll } from '../store/collection.ts';
import { limited } from './limited.ts';

export interface LeftoverDeps {
  readonly records: Records;
  readonly providers: Providers;
  readonly clock: Clock;
}

const LIST_MS = 30_000;
const DESTROY_MS = 60_000;
/** In these a machine was seen, so that its absence is news. */
const HAS_MACHINE = new Set<InstanceState>(['installing', 'bootstrapping', 'running', 'draining']);

/** Of every provider that is switched on. What a provider does not answer is thrown. */
export async function findLeftovers(
  deps: LeftoverDeps,
  signal: AbortSignal,
): Promise<readonly Leftover[]> {
  const found: Leftover[] = [];
  for (const provider of deps.providers.values())
    if (provider.mode !== 'disabled') found.push(...(await ofProvider(deps, provider, signal)));
  return found;
}

async function ofProvider(
  { records, clock }: LeftoverDeps,
  provider: Provider,
  signal: AbortSignal,
): Promise<readonly Leftover[]> {
  const { name } = provider;
  const what = `the list of machines of ${name}`;
  // Machines first: what is recorded after this was recorded before it was made.
  const machines = await limited(clock, { what, limitMs: LIST_MS, signal }, provider.list);
  const listed = new Map(machines.map(({ operation, state }) => [operation, state]));
  const leftovers: Leftover[] = [];
  for (const [operation, state] of listed) {
    const known = await records.operations.get(operation);
    const record = known && (await records.instances.get(known.record.instance))?.record;
    if (record && record.state !== 'terminated') continue;
    // Read again: it may have ended since.
    if ((await provider.status(operation, signal)) === 'absent') continue;
    leftovers.push(strayMachine(name, operation, state, record ?? null));
  }
  for await (const { id, record: known } of records.operations.all()) {
    if (known.provider !== name || listed.has(id as OperationKey)) continue;
    const record = (await records.instances.get(known.instance))?.record;
    if (record && HAS_MACHINE.has(record.state))
      leftovers.push(strayInstance(name, id as OperationKey, record));
  }
  return leftovers;
}

const strayMachine = (
  provider: ProviderKind,
  operation: OperationKey,
  state: MachineState,
  record: InstanceRecord | null,
): Leftover => ({
  ...{ provider, operation, state, kind: 'machine' },
  instance: record?.id ?? null,
  node: record?.node ?? null,
  text: record
    ? `${operation} is there, and its instance ${record.id} of ${record.node} has ended`
    : `${operation} is there, and no instance has it`,
  hint: `billet provider destroy ${provider} ${operation}`,
});

const strayInstance = (
  provider: ProviderKind,
  operation: OperationKey,
  { id, node, state }: InstanceRecord,
): Leftover => ({
  ...{ provider, operation, state: 'absent', kind: 'instance', instance: id, node },
  text: `${id} of ${node} is ${state}, and its machine ${operation} is not there`,
  hint: `billet instance show ${id}; then billet instance terminate ${id} --force`,
});

/**
 * Destroys a machine that no live instance has. Idempotent. CONFLICT for one that a live instance
 * has; NOT_FOUND for a provider that is not there.
 */
export async function destroyLeftover(
  { records, providers, clock }: LeftoverDeps,
  actor: string,
  wanted: { readonly provider: ProviderKind; readonly operation: OperationKey },
  signal: AbortSignal,
): Promise<void> {
  const { operation } = wanted;
  const provider = providers.get(wanted.provider);
  if (provider === undefined)
    throw new BilletError('NOT_FOUND', `${wanted.provider} makes no machines here`, {
      hint: 'billet provider list',
    });
  const known = await records.operations.get(operation);
  const record = known && (await records.instances.get(known.record.instance))?.record;
  if (record && record.state !== 'terminated')
    throw new BilletError('CONFLICT', `${operation} is the machine of ${record.id}`, {
      hint: `billet instance terminate ${record.id}`,
      details: { instance: record.id },
    });
  const what = `a destruction at ${provider.name}`;
  await limited(clock, { what, limitMs: DESTROY_MS, signal }, (stop) =>
    provider.terminate(operation, stop),
  );
  const left = await provider.status(operation, signal);
  if (left !== 'absent')
    throw new BilletError('PROVIDER_FAILED', `${operation} is ${left} after its destruction`, {
      hint: 'look at the provider’s own log, and try again',
    });
  await commitAll(records.store, [
    ...(known ? [records.operations.drop(operation, known.revision)] : []),
    records.events.tell({
      actor,
      kind: 'provider.leftover_destroyed',
      subject: `provider/${provider.name}`,
      text: `${operation} was destroyed`,
      details: { operation, instance: record?.id ?? null },
    }),
  ]);
}

/** Tells of each leftover once, as long as this process lives. */
export function leftoverWatch(deps: LeftoverDeps): (signal: AbortSignal) => Promise<void> {
  const told = new Set<string>();
  return async (signal) => {
    const found = await findLeftovers(deps, signal);
    const keys = new Set(found.map(({ kind, operation }) => `${kind} ${operation}`));
    for (const { kind, operation, provider, instance, text, hint } of found) {
      if (told.has(`${kind} ${operation}`)) continue;
      const details = { operation, instance };
      const news = { actor: 'coordinator', kind: 'provider.leftover', text: `${text}; ${hint}` };
      const event = { ...news, subject: `provider/${provider}`, details };
      await commitAll(deps.records.store, [deps.records.events.tell(event)]);
      told.add(`${kind} ${operation}`);
    }
    for (const key of told) if (!keys.has(key)) told.delete(key);
  };
}
