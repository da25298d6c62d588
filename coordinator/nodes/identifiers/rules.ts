// By what a machine is known before it has a key: which of its names say something, how they are written
// in the store, and which are the same on thousands of boards. Pure. None of them proves anything.

import { BilletError } from '#shared/errors.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { NodeName } from '#shared/schema/ids.ts';
import type { NodeSpec } from '#shared/schema/records.ts';

export interface Identifier {
  readonly kind: 'mac' | 'uuid' | 'serial' | 'asset-tag';
  readonly value: string;
}

const WORDS: Readonly<Record<Identifier['kind'], string>> = {
  mac: 'MAC address',
  uuid: 'DMI UUID',
  serial: 'serial',
  'asset-tag': 'asset tag',
};

/** `MAC address 52:54:00:12:34:56` */
export const identifierText = ({ kind, value }: Identifier): string => `${WORDS[kind]} ${value}`;

/** An identifier, and the node that is registered with it. */
export interface Match {
  readonly identifier: Identifier;
  readonly node: NodeName;
}

/** `web-1 (MAC address 52:54:…, serial CZ31…)` */
export const matchText = (name: NodeName, matches: readonly Match[]): string =>
  `${name} (${matches
    .filter((each) => each.node === name)
    .map(({ identifier }) => identifierText(identifier))
    .slice(0, 4)
    .join(', ')})`;

/** What a machine shows that several nodes are registered with. */
export const ambiguityText = (matches: readonly Match[]): string => {
  const names = [...new Set(matches.map(({ node }) => node))];
  const each = names.map((name) => matchText(name, matches)).join(', ');
  return `it shows what several nodes are registered with: ${each}`;
};

/** Case and blanks say nothing: dmidecode, sysfs, stickers and spreadsheets differ in both. */
const plain = (text: string) => text.trim().replace(/\s+/g, ' ').toLowerCase();

const TEXT_MAX = 64;
const PRINTABLE = /^[\x20-\x7e]+$/;

/** The key in the index of machines. Two spellings of one identifier have the same. */
export function identifierKey({ kind, value }: Identifier): string {
  if (kind === 'mac') return value.toLowerCase().replaceAll(':', '-');
  if (kind === 'uuid') return value.toLowerCase();
  const text = plain(value).replace(
    /[^a-z0-9-]/g,
    (character) => `_${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return `${kind === 'serial' ? 'serial' : 'asset'}.${text}`;
}

/** What vendors leave in DMI where nobody wrote anything: the same on every such board. */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  ...['to be filled by o.e.m', 'to be filled by oem', 'default string', 'default', 'o.e.m', 'oem'],
  ...['none', 'null', 'nil', 'not specified', 'not applicable', 'not available', 'not present'],
  ...['not provided', 'not defined', 'not settable', 'n/a', 'na', 'unknown', 'undefined', 'empty'],
  ...['invalid', 'serial', 'serial number', 'system serial number', 'chassis serial number'],
  ...['base board serial number', 'serial no', 'serialnumber', 'sys-1234567890', 'tbd', 'no asset'],
  ...['asset tag', 'assettag', 'asset-1234567890', 'no asset tag', 'no asset information'],
  ...['chassis asset tag', 'system asset tag', '0123456789', '1234567890', '123456789', '12345678'],
  // Clouds that give each of their machines the same tag.
  ...['7783-7084-3265-9085-8269-3286-77', 'amazon ec2', 'openstack nova', 'openstack compute'],
  ...['opentelekomcloud', 'sap ccloud vm', 'huaweicloud'],
]);

/** Of reference firmware, in both byte orders. */
const PLACEHOLDER_UUIDS: ReadonlySet<string> = new Set([
  '03000200-0400-0500-0006-000700080009',
  '00020003-0004-0005-0006-000700080009',
  '12345678-1234-5678-90ab-cddeefaabbcc',
]);

/** `0000`, `xxxx`, `....`: one character again and again. */
const isMonotone = (text: string) => new Set(text.replace(/[-:. ]/g, '')).size <= 1;

/** Whether thousands of machines have it: it tells none from another. */
export function isPlaceholder({ kind, value }: Identifier): boolean {
  const text = plain(value).replace(/\.+$/, '');
  if (isMonotone(text)) return true;
  return kind === 'uuid' ? PLACEHOLDER_UUIDS.has(text) : PLACEHOLDERS.has(text);
}

/** What a node is registered with. */
export const identifiersOfSpec = (
  spec: Pick<NodeSpec, 'macs' | 'dmiUuid' | 'serial' | 'assetTag'>,
): readonly Identifier[] => [
  ...spec.macs.map((value): Identifier => ({ kind: 'mac', value })),
  ...given('uuid', spec.dmiUuid),
  ...given('serial', spec.serial),
  ...given('asset-tag', spec.assetTag),
];

/** A machine has more addresses than it boots with: bridges and the like. So many are looked at. */
const MACS_MAX = 16;

/** What a machine shows, without what means nothing. */
export const identifiersOfFacts = ({
  macs,
  dmi,
}: Pick<Facts, 'macs' | 'dmi'>): readonly Identifier[] =>
  [
    ...macs.slice(0, MACS_MAX).map((value): Identifier => ({ kind: 'mac', value })),
    ...given('uuid', /^[0-9a-f-]{36}$/i.test(dmi.uuid ?? '') ? dmi.uuid : null),
    ...given('serial', dmi.serial),
    ...given('asset-tag', dmi.assetTag),
  ].filter((one) => isText(one.value) && !isPlaceholder(one));

const isText = (value: string) => PRINTABLE.test(value) && value.trim().length <= TEXT_MAX;

const given = (
  kind: Identifier['kind'],
  value: string | null | undefined,
): readonly Identifier[] => (value === null || value === undefined ? [] : [{ kind, value }]);

/** IDENTIFIER_UNUSABLE for what no machine can be told by. */
export function assertUsable(spec: Parameters<typeof identifiersOfSpec>[0]): void {
  const no = identifiersOfSpec(spec).find(isPlaceholder);
  if (no === undefined) return;
  throw new BilletError(
    'IDENTIFIER_UNUSABLE',
    `the ${identifierText(no)} stands on thousands of machines: their vendor wrote nothing there`,
    {
      hint: 'register the machine by another of its identifiers; its sticker, its BMC or `billet claim show` has them',
      details: { kind: no.kind, value: no.value },
    },
  );
}
