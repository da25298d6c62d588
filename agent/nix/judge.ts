// What the reconcile loop has to know of a NixOS system to judge a generation, and to tell of it. Looks at
// what was observed; does nothing.

import { BilletError } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { Condition } from '#shared/schema/heartbeat.ts';
import { type ModuleLabel, ModuleName } from '#shared/schema/module.ts';
import { isActive, type ObservedNix } from './plan.ts';

type Node = ObservedNix | null;
type Wanted = Pick<Desired, 'closure' | 'generation'>;

/** The system of the generation runs; always so for one without a closure. */
export const runsClosure = ({ closure }: Wanted, observed: Node): boolean =>
  closure === null || observed?.running === closure.storePath;

/** Another system to go back to than the wanted one, beside other generations. */
export const hasSystemBefore = ({ closure }: Wanted, observed: Node): boolean =>
  closure !== null && (observed?.lastGood ?? closure.storePath) !== closure.storePath;

/** Health checks, as those of a module. */
export const healthCheckOf = ({ closure }: Wanted): Pick<ModuleLabel, 'name' | 'probes'> | null =>
  closure === null || closure.healthCheck.length === 0
    ? null
    : { name: NIXOS, probes: closure.healthCheck };

const NIXOS = ModuleName.parse('nixos');

/** Why the wanted system does not run, and is not tried again. */
export const rejectedError = (
  { closure, generation }: Wanted,
  reason: string,
  observed: Node,
): BilletError | null =>
  closure === null
    ? null
    : new BilletError(
        'NIX_ACTIVATION_FAILED',
        `generation ${generation} was rejected (${reason}); ${observed?.running ?? 'no system'} runs`,
        { hint: 'correct the system, and give the node the closure of the corrected one' },
      );

export function nixConditions({ closure, generation }: Wanted, observed: Node): Condition[] {
  if (closure === null || observed === null) return [];
  if (!isActive(closure, observed) || observed.running === closure.storePath) return [];
  return [
    {
      code: 'REBOOT_PENDING',
      text: `generation ${generation} has another system, ${closure.storePath}, which the next boot takes up`,
      hint: 'billet task create reboot INSTANCE',
    },
  ];
}
