// Takes one instance a step on: asks its provider, and records what came of it. Each step may be the
// last one before a crash, and is done again by whoever leads next. What to do is decided in plan.ts.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { ProviderFault } from '#shared/schema/provider.ts';
import type { Revocations } from '../ca/revocation.ts';
import { COORDINATOR } from '../events/records.ts';
import type { Log } from '../log.ts';
import { closeDraft, type EndDeps, type Ended, failDraft } from '../nodes/instance-end.ts';
import { told } from '../nodes/instance-writes.ts';
import { after } from '../nodes/lifecycle.ts';
import { retryAfterMs } from '../nodes/lifecycle-deadlines.ts';
import { enter, type InstanceRecord, type MachineRecord } from '../nodes/records.ts';
import type { Provider, Providers } from '../providers/provider.ts';
import type { Found } from '../store/collection.ts';
import type { Condition } from '../store/store.ts';
import { type Draft, transact } from '../store/transact.ts';
import { limited } from './limited.ts';
import { drainPreempted, preemptedDraft, takenDraft } from './lost/preemption.ts';
import { type OrderDeps, orderOf } from './order.ts';
import { actOn, isReplacedWhenLost, turnOf } from './plan.ts';

export interface DriveDeps extends OrderDeps, EndDeps {
  readonly revocations: Pick<Revocations, 'reached'>;
  readonly providers: Providers;
  readonly clock: Clock;
  readonly log: Log;
  /** How long a call to a provider may take. */
  readonly limitsMs?: { readonly look: number; readonly make: number; readonly destroy: number };
}

const LIMITS_MS = { look: 20_000, make: 120_000, destroy: 60_000 };

/** A term of leadership, and when to stop. */
export interface DriveOptions {
  readonly lead: Condition;
  readonly signal: AbortSignal;
}

/**
 * Goes on until there is nothing to do now. What a provider does wrong becomes part of the record;
 * anything else that goes wrong is thrown, with nothing half done.
 */
export async function drive(
  deps: DriveDeps,
  id: InstanceId,
  { lead, signal }: DriveOptions,
): Promise<void> {
  const { records, clock } = deps;
  /** Commits what `draft` makes of the record as it is then; null when it declines. */
  const write = <T>(draft: (found: Found<InstanceRecord>) => Promise<Draft<T> | null>) =>
    transact(records.store, `instance ${id}`, async () => {
      const found = await records.instances.get(id);
      const wanted = found && (await draft(found));
      return wanted && { ...wanted, conditions: [...(wanted.conditions ?? []), lead] };
    });
  const writeMachine = (
    expected: InstanceRecord,
    change: (machine: MachineRecord) => Partial<MachineRecord>,
    text?: string,
  ) =>
    write(async ({ record, revision }) => {
      if (record.machine === null || record.state !== expected.state) return null;
      const next = { ...record, machine: { ...record.machine, ...change(record.machine) } };
      const kind = 'instance.provider_failed';
      return {
        changes: [
          records.instances.put(id, next, revision),
          ...(text === undefined ? [] : [told(records, COORDINATOR, id, kind, text)]),
        ],
        result: () => true,
      };
    });

  async function begin(): Promise<void> {
    await write(async ({ record, revision }) => {
      const state = after(record.state, 'provision');
      if (state === record.state) return null;
      const next = enter(record, state, clock.now());
      const text = `${record.provider} is asked for ${record.machine?.operation ?? 'a machine'}`;
      return {
        changes: [
          records.instances.put(id, next, revision),
          told(records, COORDINATOR, id, 'instance.provisioning', text),
        ],
        result: () => true,
      };
    });
  }

  /** True when that was due; what was revoked counts before anything else is done. */
  async function ends(
    draft: (found: Found<InstanceRecord>) => Promise<Draft<Ended> | null>,
  ): Promise<boolean> {
    const ended = await write(draft);
    if (ended && ended.revision !== null) await deps.revocations.reached(ended.revision);
    return ended !== null;
  }

  const close = (reason: string) =>
    write(async (found) =>
      found.record.state === 'terminating' ? await closeDraft(records, found, reason) : null,
    );

  async function fault(record: InstanceRecord, error: unknown): Promise<void> {
    const why = faultOf(error);
    const isNew = record.machine?.fault?.code !== why.code;
    const text = `${record.provider}: ${why.code}: ${why.message}; ${why.hint}`;
    deps.log.warn('a provider failed', { instance: id, code: why.code, why: why.message });
    await writeMachine(
      record,
      ({ attempts }) => ({
        attempts: attempts + 1,
        retryAt: clock.now() + retryAfterMs(attempts + 1),
        fault: why,
      }),
      isNew ? text : undefined,
    );
  }

  /** True when there is more to do at once. */
  async function lookAndAct(
    record: InstanceRecord,
    machine: MachineRecord,
    provider: Provider,
  ): Promise<boolean> {
    const { operation } = machine;
    const { look, make, destroy } = deps.limitsMs ?? LIMITS_MS;
    const call = <T>(what: string, limitMs: number, work: (signal: AbortSignal) => Promise<T>) =>
      limited(clock, { what: `${what} at ${provider.name}`, limitMs, signal }, work);
    const status = () => call('a look', look, (stop) => provider.status(operation, stop));
    const seen = await status();
    switch (actOn(record, seen)) {
      case 'none':
        return false;
      case 'note':
        await writeMachine(record, () => ({ state: seen, attempts: 0, fault: null }));
        return false;
      case 'lost':
        await write(async (found) =>
          found.record.state === record.state ? lostDraft(deps, found, provider.name) : null,
        );
        return false;
      case 'taken':
        return await ends(async (found) =>
          found.record.state === record.state ? await takenDraft(deps, found) : null,
        );
      case 'destroy':
        await call('a destruction', destroy, (stop) => provider.terminate(operation, stop));
        // What it says counts for nothing; what it shows then does.
        if ((await status()) !== 'absent')
          throw lied(provider, operation, 'it is gone', 'it is not');
        await close(`${provider.name} has no machine of it any more`);
        return true;
      case 'make': {
        const order = await orderOf(deps, record, machine);
        await call('a creation', make, (stop) => provider.provision(order, stop));
        const made = await status();
        if (made !== 'running') throw lied(provider, operation, 'it runs', `it is ${made}`);
        return true;
      }
    }
  }

  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    signal.throwIfAborted();
    await ends((found) => preemptedDraft(deps, found));
    const found = await records.instances.get(id);
    if (!found) return;
    const { record } = found;
    await drainPreempted(records, record);
    const provider = deps.providers.get(record.provider);
    const turn = turnOf(record, clock.now());
    if (turn === 'none' || record.machine === null || provider === undefined) return;
    if (turn === 'begin') await begin();
    else if (turn === 'close') await close('closed without proof that its machine is gone');
    else
      try {
        if (!(await lookAndAct(record, record.machine, provider))) return;
      } catch (error) {
        signal.throwIfAborted();
        if (!isProviders(error)) throw error;
        return await fault(record, error);
      }
  }
}

/** Of one call; what is left comes with the next pass. */
const ROUNDS_MAX = 6;

const lostDraft = (deps: DriveDeps, found: Found<InstanceRecord>, provider: string) =>
  failDraft(deps.records, found, {
    reason: `its machine is gone from ${provider}`,
    hint: 'billet instance terminate ID, then provision the node again',
    replace: isReplacedWhenLost(found.record),
  });

const lied = (provider: Provider, operation: string, said: string, seen: string) =>
  new BilletError(
    'PROVIDER_FAILED',
    `${provider.name} says of ${operation} that ${said}; ${seen}`,
    {
      hint: 'it is tried again; look at the provider’s own log',
    },
  );

/** The store's own trouble is no fault of a provider's. */
const NOT_PROVIDERS = new Set(['STORE_FAILED', 'STORE_FULL', 'UNAVAILABLE', 'CONTENDED']);
const isProviders = (error: unknown): boolean =>
  !(error instanceof BilletError && NOT_PROVIDERS.has(error.code));

function faultOf(error: unknown): ProviderFault {
  const known = error instanceof BilletError ? error : null;
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: known?.code ?? 'INTERNAL',
    message: message.slice(0, 1024),
    hint: (known?.hint ?? 'report this as a defect').slice(0, 1024),
  };
}
