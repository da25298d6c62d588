// Reads the node for the planner: what is in the store, attached, booted, staged. Changes nothing.

import type { Desired } from '#shared/schema/desired.ts';
import type { Journal } from './journal.ts';
import type { ReconcilePorts } from './ports.ts';
import type { Services } from './services.ts';
import type { StateFiles } from './state.ts';
import type { Observed } from './world.ts';

export interface ObserveDeps {
  readonly ports: Pick<ReconcilePorts, 'modules' | 'nix' | 'slots' | 'settings' | 'power'>;
  readonly services: Services;
  readonly state: StateFiles;
  readonly journal: Pick<Journal, 'unfinished'>;
  /** Null where the root is not a system image of Billet's. */
  readonly booted: Observed['booted'];
}

export async function observe(
  desired: Desired,
  { ports, services, state, journal, booted }: ObserveDeps,
  signal: AbortSignal,
): Promise<Observed> {
  const { staged, settings } = state.run;
  const wanted = booted === null ? desired.modules.filter(isService) : desired.modules;
  return {
    held: await ports.modules.held(wanted, signal),
    stored: await ports.modules.stored(),
    full: ports.modules.isFull(),
    services: await services.observe(signal),
    unfinished: journal.unfinished,
    booted,
    staged,
    nix: await ports.nix.observe(desired.closure),
    slots: ports.slots?.observe(desired.bootImage) ?? null,
    settings,
  };
}

const isService = ({ kind }: { readonly kind: string }) => kind === 'service';
