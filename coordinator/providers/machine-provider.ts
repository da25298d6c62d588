// A provider that makes machines on this host: files first, then a hypervisor. Idempotent by the
// operation key: the order of its steps lets any of them be the last one before a crash.

import { BilletError } from '#shared/errors.ts';
import type {
  MachineState,
  OperationKey,
  ProviderKind,
  ProviderMode,
} from '#shared/schema/provider.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { LabelDisk, MachineFiles } from './machine-files.ts';
import type { Provider } from './provider.ts';

export interface MachineProviderOptions {
  readonly name: Exclude<ProviderKind, 'manual'>;
  readonly mode: Exclude<ProviderMode, 'disabled'>;
  readonly machinesMax: number;
  readonly files: MachineFiles;
  readonly hypervisor: Hypervisor;
  readonly labelDisk: LabelDisk;
}

export function machineProvider(options: MachineProviderOptions): Provider {
  const { name, mode, machinesMax, files, hypervisor, labelDisk } = options;
  /** One change after the other: of all machines, so that the quota counts what is there. */
  let last: Promise<unknown> = Promise.resolve();
  function inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const done = last.then(() => {
      signal.throwIfAborted();
      return work();
    });
    last = done.catch(() => null);
    return done;
  }

  async function assertQuota(operation: OperationKey): Promise<void> {
    const others = (await files.list()).filter((one) => one !== operation);
    if (others.length < machinesMax) return;
    throw new BilletError('PROVIDER_QUOTA', `${name} has ${others.length} machines, its most`, {
      hint: `terminate an instance, look at billet provider leftovers, or raise providers.${name}.machinesMax`,
      details: { machinesMax },
    });
  }

  const ended = (operation: OperationKey) =>
    new BilletError('CONFLICT', `${operation} was terminated at ${name}`, {
      hint: 'provision the node again: that is another operation',
    });

  async function status(operation: OperationKey, signal: AbortSignal): Promise<MachineState> {
    const state = await hypervisor.state(operation, signal);
    if (state === 'running') return 'running';
    if (state === null && !(await files.has(operation))) return 'absent';
    return (await files.wasStarted(operation)) ? 'off' : 'making';
  }

  async function destroy(operation: OperationKey, signal: AbortSignal): Promise<void> {
    await hypervisor.stop(operation, signal);
    await files.remove(operation);
  }

  return {
    name,
    mode,
    machinesMax,
    check: (signal) => hypervisor.check(signal),

    provision: (order, signal) =>
      inTurn(signal, async () => {
        const { operation } = order;
        if (await files.isEnded(operation)) throw ended(operation);
        if ((await hypervisor.state(operation, signal)) === 'running') return;
        await assertQuota(operation);
        const plan = await files.lay(order, labelDisk, signal);
        await files.note(operation, 'machine', hypervisor.describe(plan));
        await hypervisor.start(plan, signal);
        await files.note(operation, 'started', { uuid: order.uuid });
        // Another process may have terminated it while this one made it.
        if (!(await files.isEnded(operation))) return;
        await destroy(operation, signal);
        throw ended(operation);
      }),

    status,

    terminate: (operation, signal) =>
      inTurn(signal, async () => {
        // First, so that whoever makes it at this moment finds it when it is done.
        await files.end(operation);
        await destroy(operation, signal);
      }),

    async list(signal) {
      const known = new Set([...(await files.list()), ...(await hypervisor.list(signal))]);
      return await Promise.all(
        [...known].map(async (operation) => ({
          operation,
          state: await status(operation, signal),
        })),
      );
    },
  };
}

/** Refuses everything, and says how to switch it on. */
export function disabledProvider(name: Exclude<ProviderKind, 'manual'>): Provider {
  const refuse = async (): Promise<never> => {
    throw new BilletError('PROVIDER_DISABLED', `the provider ${name} is disabled here`, {
      hint: `set providers.${name}.mode to real (or recorder) in the coordinator’s configuration`,
    });
  };
  return {
    ...{ name, mode: 'disabled', machinesMax: null },
    ...{ check: refuse, provision: refuse, status: refuse, terminate: refuse },
    list: async () => [],
  };
}
