// The options of a bond that boot words may set: as the kernel's bonding driver takes them in sysfs
// (Documentation/networking/bonding.rst), and as systemd.netdev(5) writes them. Pure.

import { familyOf } from './address.ts';
import { type Context, invalid } from './fields.ts';

export interface BondOption {
  readonly name: string;
  readonly value: string;
}

const MODES = [
  ...['balance-rr', 'active-backup', 'balance-xor', 'broadcast'],
  ...['802.3ad', 'balance-tlb', 'balance-alb'],
];

interface Option {
  /** Key of [Bond] in systemd.netdev(5). */
  readonly networkd: string;
  /** What values look like: names that stand for their numbers, or a pattern. */
  readonly values: readonly string[] | RegExp;
  readonly unit?: 'ms';
}

/** In the order in which the driver wants them: the mode decides which others it takes. */
const OPTIONS: Readonly<Record<string, Option>> = {
  mode: { networkd: 'Mode', values: MODES },
  miimon: { networkd: 'MIIMonitorSec', values: /^\d{1,7}$/, unit: 'ms' },
  updelay: { networkd: 'UpDelaySec', values: /^\d{1,7}$/, unit: 'ms' },
  downdelay: { networkd: 'DownDelaySec', values: /^\d{1,7}$/, unit: 'ms' },
  arp_interval: { networkd: 'ARPIntervalSec', values: /^\d{1,7}$/, unit: 'ms' },
  arp_ip_target: { networkd: 'ARPIPTargets', values: /^[\d.;]+$/ },
  lacp_rate: { networkd: 'LACPTransmitRate', values: ['slow', 'fast'] },
  ad_select: { networkd: 'AdSelect', values: ['stable', 'bandwidth', 'count'] },
  min_links: { networkd: 'MinLinks', values: /^\d{1,2}$/ },
  xmit_hash_policy: {
    networkd: 'TransmitHashPolicy',
    values: ['layer2', 'layer3+4', 'layer2+3', 'encap2+3', 'encap3+4'],
  },
  fail_over_mac: { networkd: 'FailOverMACPolicy', values: ['none', 'active', 'follow'] },
  primary: { networkd: '', values: /^[A-Za-z0-9_.-]{1,15}$/ },
  primary_reselect: {
    networkd: 'PrimaryReselectPolicy',
    values: ['always', 'better', 'failure'],
  },
};
const ORDER = Object.keys(OPTIONS);

/** `mode=active-backup,miimon=100`, values by their names. Throws BOOT_NETWORK_INVALID. */
export function bondOptions(text: string, at: Context): BondOption[] {
  const found = text.split(',').map((each): BondOption => {
    const [, name = '', given = ''] = /^([a-z_]+)=(.+)$/.exec(each) ?? [];
    const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
    if (option === undefined) throw invalid(at, 'bond option', each, `known: ${ORDER.join(', ')}`);
    const value = meant(option, given);
    if (value === null) throw invalid(at, `value of ${name}`, given);
    return { name, value };
  });
  const names = found.map(({ name }) => name);
  for (const name of names)
    if (names.indexOf(name) !== names.lastIndexOf(name)) throw invalid(at, 'bond option', name);
  if (found.some(({ name, value }) => name === 'arp_ip_target' && !areIpv4(value)))
    throw invalid(at, 'value of arp_ip_target', text);
  return found.sort((one, other) => ORDER.indexOf(one.name) - ORDER.indexOf(other.name));
}

const areIpv4 = (value: string) => value.split(';').every((each) => familyOf(each) === 4);

function meant({ values }: Option, given: string): string | null {
  if (values instanceof RegExp) return values.test(given) ? given : null;
  if (/^\d$/.test(given)) return values[Number(given)] ?? null;
  return values.includes(given) ? given : null;
}

/** Lines of [Bond] in systemd.netdev(5); the primary device is named in its own .network file. */
export function networkdBond(options: readonly BondOption[]): string[] {
  return options.flatMap(({ name, value }) => {
    const { networkd = '', unit = '' } = OPTIONS[name] ?? {};
    if (networkd === '') return [];
    return [`${networkd}=${value.replaceAll(';', ' ')}${unit}`];
  });
}
