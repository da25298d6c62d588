// What the reconcile loop has to say to people while it lasts, in the words of the wire. Decides and
// changes nothing.

import { BilletError } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { Condition } from '#shared/schema/heartbeat.ts';
import { nodeSettings, settingsKey } from './plan.ts';
import type { StateFiles } from './state.ts';
import type { AttachedService, Held, Observed } from './world.ts';

interface Chosen {
  readonly chosen: { readonly desired: Desired };
  readonly leave: boolean;
}

interface Node {
  readonly state: StateFiles;
  readonly booted: Observed['booted'];
  readonly bootedGeneration: number;
}

const TEXT_MAX = 1024;

export const conditionOf = ({ code, message, hint }: BilletError): Condition => ({
  code,
  text: message.slice(0, TEXT_MAX),
  hint: hint.slice(0, TEXT_MAX),
});

/** What a defect is shown as. */
export const asBilletError = (error: unknown): BilletError =>
  error instanceof BilletError
    ? error
    : new BilletError('INTERNAL', error instanceof Error ? error.message : String(error), {
        hint: 'report this with the journal of billet-agent: journalctl -u billet-agent',
        cause: error,
      });

/** Of services, of what is staged, and of a system that is not Billet's. */
export function nodeConditions(
  { chosen: { desired }, leave }: Chosen,
  { state, booted, bootedGeneration }: Node,
  services: readonly AttachedService[],
  held: Held,
): Condition[] {
  const { staged } = state.run;
  const unhealthy = services.filter(({ healthy }) => !healthy).map(({ module }) => module.name);
  const found: Condition[] = unhealthy.map((name) => ({
    code: 'SERVICE_DOWN',
    text: `services of module ${name} do not run`,
    hint: `on the node: systemctl status 'billet-${name}-*'`,
  }));
  if (held !== 'nothing')
    found.push({
      code: held === 'all' ? 'DRAINED' : 'CORDONED',
      text:
        held === 'all' ? 'a drain keeps all services stopped' : 'a drain lets nothing new start',
      hint: `billet instance uncordon ${desired.instance} lets it take work again`,
    });
  if (staged !== null && leave)
    found.push({
      code: 'GOING_BACK',
      text: `generation ${bootedGeneration} was rejected: the machine restarts into ${staged.generation}`,
      hint: 'the reason stands beside the rejected generation: billet instance show',
    });
  else if (staged !== null)
    found.push({
      code: 'REBOOT_PENDING',
      text: `generation ${staged.generation} has another system, which the next boot takes up`,
      hint: `billet task create reboot ${desired.instance}`,
    });
  const settings = nodeSettings(desired.settings);
  const system = desired.modules.some(({ kind }) => kind === 'system');
  if (booted === null && (system || settingsKey(settings) !== '{}'))
    found.push({
      code: 'SYSTEM_UNMANAGED',
      text: 'this system was not booted by Billet: system modules and settings are left alone',
      hint: 'boot it from a Billet boot image, or take them out of the node',
    });
  return found;
}
