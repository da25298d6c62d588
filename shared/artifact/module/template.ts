// The description that a person writes beside a module's build recipe: module.json, the source of
// the label. Makes and reads the text; touches no file.

import { z } from 'zod';
import { BilletError } from '../../errors.ts';
import { describeFaults } from '../../schema/faults.ts';
import { ModuleLabel } from '../../schema/module.ts';

export interface TemplateRequest {
  readonly name: string;
  readonly kind: 'system' | 'service';
  readonly version: string;
}

/** A module.json to start from. Throws ARGUMENT_INVALID for a name or version that cannot be one. */
export function moduleTemplate({ name, kind, version }: TemplateRequest): string {
  const service = { name, exec: [`/usr/bin/${name}`] };
  const probe = { kind: 'http', name: 'answers', url: 'http://127.0.0.1:8080/' };
  const source = {
    format: 1,
    name,
    version,
    sequence: 1,
    kind,
    description: '',
    ...(kind === 'service' ? { services: [service], probes: [probe] } : { priority: 100 }),
  };
  parseModuleSource(JSON.stringify(source), 'ARGUMENT_INVALID', 'the module');
  return `${JSON.stringify(source, null, 2)}\n`;
}

/** Reads module.json strictly. `code` says whose mistake it is. */
export function parseModuleSource(
  text: string,
  code: 'ARGUMENT_INVALID' | 'MODULE_INVALID',
  what: string,
): ModuleLabel {
  const hint = '`billet module schema` prints what module.json may hold';
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new BilletError(code, `${what} is not JSON`, { hint, cause });
  }
  const parsed = ModuleLabel.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new BilletError(code, `${what} is not valid: ${describeFaults(parsed.error)}`, { hint });
}

/** JSON Schema (2020-12) of module.json and of the label. */
export const moduleSchema = (): unknown => ({
  title: 'Billet module',
  ...z.toJSONSchema(ModuleLabel, { io: 'input' }),
});
