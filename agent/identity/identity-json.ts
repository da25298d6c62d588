// Identity as one JSON object, in a file or a firmware variable. Strict: an unknown key is an error.

import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import type { IdentityValues } from './strategy.ts';

const text = z.string().min(1).max(4096);
const IdentityJson = z
  .strictObject({ coordinator: text, ca: text, instance: text, token: text })
  .partial();

/** Throws CONFIG_INVALID, naming `where` and the field. */
export function parseIdentityJson(json: string, where: string): IdentityValues {
  const parsed = IdentityJson.safeParse(parseJson(json, where));
  if (parsed.success)
    return Object.fromEntries(
      Object.entries(parsed.data).filter(([, value]) => value !== undefined),
    ) as IdentityValues;
  throw invalid(where, describeFaults(parsed.error), parsed.error);
}

function parseJson(json: string, where: string): unknown {
  try {
    return JSON.parse(json.replace(/\0+$/, ''));
  } catch {
    // The parser's message quotes what it read, and with it the token.
    throw invalid(where, 'it is not JSON', undefined);
  }
}

function invalid(where: string, why: string, cause: unknown): BilletError {
  return new BilletError('CONFIG_INVALID', `${where}: ${why}`, {
    hint: 'write {"coordinator": "https://…", "ca": "sha256:…", "instance": "i-…", "token": "…"}',
    cause,
  });
}
