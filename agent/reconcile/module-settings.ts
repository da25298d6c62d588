// Checks the settings of a module against the JSON Schema that its signed label declares.

import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import type { ModuleLabel } from '#shared/schema/module.ts';
import type { ModuleSettings } from './steps.ts';

/** Throws CONFIG_INVALID for settings that do not fit, or of a module that declares none. */
export function assertSettings(label: ModuleLabel, settings: ModuleSettings): void {
  const { name, settingsSchema } = label;
  if (settingsSchema === undefined) {
    if (Object.keys(settings).length > 0) throw invalid(name, 'it declares no settings');
    return;
  }
  const schema = z.fromJSONSchema(settingsSchema as Parameters<typeof z.fromJSONSchema>[0]);
  const parsed = schema.safeParse(settings);
  if (!parsed.success) throw invalid(name, describeFaults(parsed.error));
}

function invalid(name: string, why: string): BilletError {
  return new BilletError('CONFIG_INVALID', `settings of module ${name}: ${why}`, {
    hint: `correct settings.modules.${name} of the node; \`billet module inspect\` shows the schema`,
  });
}
