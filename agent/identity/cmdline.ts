// Identity from the kernel's command line: billet.coordinator=… billet.ca=… and so on. Reads
// /proc/cmdline only.

import { join } from 'node:path';
import { IDENTITY_KEYS } from '#shared/schema/identity.ts';
import { textOrNull } from './source-file.ts';
import type { IdentityStrategy, IdentityValues } from './strategy.ts';

export function cmdlineStrategy({ root = '/' }: { readonly root?: string } = {}): IdentityStrategy {
  return {
    name: 'cmdline',
    place:
      'billet.coordinator=, billet.ca=, billet.instance= and billet.token= on the kernel command line',
    async read() {
      const text = await textOrNull(join(root, 'proc/cmdline'));
      return text === null ? null : identityWords(text);
    },
  };
}

/** Every word of the form `key=value`; the last one of a key wins, as for most of the kernel's. */
function cmdlineValues(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const word of cmdlineWords(text)) {
    const equals = word.indexOf('=');
    if (equals > 0) values.set(word.slice(0, equals), word.slice(equals + 1));
  }
  return values;
}

/**
 * Words as the kernel splits them (lib/cmdline.c, next_arg): a double quote starts or ends a stretch
 * in which blanks don't separate, quotes are dropped, and there are no escapes.
 */
export function cmdlineWords(text: string): string[] {
  const words = text.match(/(?:[^\s"]|"[^"]*(?:"|$))+/g) ?? [];
  return words.map((word) => word.replaceAll('"', ''));
}

function identityWords(text: string): IdentityValues | null {
  const values = cmdlineValues(text);
  const found: IdentityValues = {};
  for (const key of IDENTITY_KEYS) {
    const value = values.get(`billet.${key}`);
    if (value !== undefined) found[key] = value;
  }
  return Object.keys(found).length === 0 ? null : found;
}
