// Identity from SMBIOS OEM strings (DMTF DSP0134 §7.12, type 11): `billet:key=value` each. Reads
// the raw tables that the kernel shows in sysfs; needs root there.

import { join } from 'node:path';
import { IDENTITY_KEYS } from '#shared/schema/identity.ts';
import { bytesOrNull, namesIn } from './source-file.ts';
import type { IdentityStrategy, IdentityValues } from './strategy.ts';

const FOLDER = 'sys/firmware/dmi/entries';
const PREFIX = 'billet:';
const TYPE_OEM_STRINGS = 11;

export function smbiosStrategy({ root = '/' }: { readonly root?: string } = {}): IdentityStrategy {
  return {
    name: 'smbios',
    place: 'SMBIOS OEM strings, e.g. -smbios type=11,value=billet:coordinator=…',
    async read() {
      const found: IdentityValues = {};
      const entries = await namesIn(join(root, FOLDER));
      for (const entry of entries.filter((name) => name.startsWith(`${TYPE_OEM_STRINGS}-`))) {
        const raw = await bytesOrNull(join(root, FOLDER, entry, 'raw'));
        for (const text of raw === null ? [] : oemStrings(raw)) addTo(found, text);
      }
      return Object.keys(found).length === 0 ? null : found;
    },
  };
}

/** The string set behind a type 11 structure: byte 1 is the length of the formatted part. */
function oemStrings(structure: Buffer): string[] {
  if (structure[0] !== TYPE_OEM_STRINGS) return [];
  const texts = structure.subarray(structure[1] ?? 0).toString('latin1');
  // Each ends in a NUL, and the set in one more.
  const end = texts.indexOf('\0\0');
  return (end < 0 ? texts : texts.slice(0, end)).split('\0').filter((text) => text !== '');
}

function addTo(found: IdentityValues, text: string): void {
  if (!text.startsWith(PREFIX)) return;
  const [name = '', ...rest] = text.slice(PREFIX.length).split('=');
  const key = IDENTITY_KEYS.find((known) => known === name);
  if (key !== undefined) found[key] = rest.join('=');
}
