// The identity document in a machine's user data: the same JSON object as in the identity file. User
// data of any other form is for somebody else, and says nothing here.

import { parseIdentityJson } from './identity-json.ts';
import type { IdentityValues } from './strategy.ts';

/**
 * Null for what is no JSON object (`#cloud-config`, a script, a MIME message, nothing). Throws
 * CONFIG_INVALID, naming `where` and the field, for an object that is not an identity.
 */
export function identityInUserData(text: string | null, where: string): IdentityValues | null {
  if (text === null || !/^\s*\{/.test(text)) return null;
  return parseIdentityJson(text, where);
}
