// Settings of a node as files of its root. Pure: returns what to write, and writes nothing.

import { sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { ModuleLabel } from '#shared/schema/module.ts';
import { assertSettings } from '../reconcile/module-settings.ts';
import { type SettingsFile, settingsFiles } from '../reconcile/settings-files.ts';

export interface RenderRequest {
  readonly desired: Desired;
  /** Of the network that the boot made: settings have no addresses. */
  readonly networkFiles: readonly SettingsFile[];
  /** Name servers of the boot words, and that DHCP gave. */
  readonly dns: readonly string[];
}

/** Files by their absolute paths in the new root. */
export function renderRoot({ desired, networkFiles, dns }: RenderRequest): SettingsFile[] {
  const { settings, instance, node } = desired;
  const named = { ...settings, hostname: settings.hostname ?? node };
  const leased = settings.dns === undefined && dns.length > 0 ? { dns: [...dns] } : {};
  const file = (path: string, content: string, mode: number) => ({ path, content, mode });
  return [
    ...settingsFiles({ ...named, ...leased }),
    // machine-id(5): the same in each boot of one instance, another one in its next life.
    file('/etc/machine-id', `${sha256(`billet machine-id ${instance}`).slice(7, 39)}\n`, 0o444),
    ...networkFiles,
  ];
}

/**
 * The settings of the system modules, checked against the schemas that their signed labels declare.
 * A service module's are checked when it is attached. Throws CONFIG_INVALID, also for settings of a
 * module that is not part of the node.
 */
export function moduleSettings(
  desired: Desired,
  labels: readonly ModuleLabel[],
): ReadonlyMap<string, unknown> {
  const checked = new Map<string, unknown>();
  for (const [name, values] of Object.entries(desired.settings.modules ?? {})) {
    const label = labels.find((each) => each.name === name);
    if (label !== undefined) {
      assertSettings(label, values);
      checked.set(name, values);
    } else if (!desired.modules.some((ref) => ref.name === name))
      throw new BilletError('CONFIG_INVALID', `settings of ${name}, which is not on the node`, {
        hint: `remove settings.modules.${name} of the node, or add the module`,
      });
  }
  return checked;
}
