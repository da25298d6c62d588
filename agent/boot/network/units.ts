// The network plan of a boot as files of systemd-networkd (systemd.netdev(5), systemd.network(5)) for the
// system image: what was set in the initramfs stays, and is made again after whatever takes it down. Pure.

import type { SettingsFile } from '../../reconcile/settings-files.ts';
import { networkdBond } from './bond-options.ts';
import { type LinkPlan, linkOfEvery, type NetworkPlan } from './plan.ts';

export interface UnitsRequest {
  readonly plan: NetworkPlan;
  /** Cards with the addresses that they were made with: names change when udev comes. */
  readonly wired: readonly { readonly name: string; readonly mac: string }[];
  /** What links have. */
  readonly addresses: readonly { readonly interface: string }[];
}

type Sections = readonly (readonly [name: string, lines: readonly string[]])[];

/** By their absolute paths in the new root. */
export function networkUnits({ plan, wired, addresses }: UnitsRequest): SettingsFile[] {
  const { everyLink, bonds, vlans } = plan;
  if (everyLink !== null)
    return wired
      .filter(({ name }) => addresses.some((each) => each.interface === name))
      .map((link) => {
        const own = linkOfEvery(everyLink, plan, link.name);
        return unit(`${link.mac.replaceAll(':', '')}.network`, network(plan, link, own));
      });
  const only = wired.length === 1 ? wired[0]?.name : undefined;
  const links = plan.links.map((link) => ({ ...link, interface: link.interface ?? only ?? '' }));
  const virtual = [...bonds, ...vlans].map(({ name }) => name);
  const below = [...bonds.flatMap(({ slaves }) => slaves), ...vlans.map(({ parent }) => parent)];
  const all = [...new Set([...below, ...links.map((link) => link.interface)])].filter(Boolean);
  return [
    ...bonds.map(({ name, options, mtu }) =>
      unit(`${name}.netdev`, [
        ['NetDev', [`Name=${name}`, 'Kind=bond', ...(mtu === null ? [] : [`MTUBytes=${mtu}`])]],
        ['Bond', networkdBond(options)],
      ]),
    ),
    ...vlans.map(({ name, id }) =>
      unit(`${name}.netdev`, [
        ['NetDev', [`Name=${name}`, 'Kind=vlan']],
        ['VLAN', [`Id=${id}`]],
      ]),
    ),
    ...all.map((name) => {
      const card = wired.find((each) => each.name === name);
      const mac = virtual.includes(name) ? undefined : card?.mac;
      const link = links.find((each) => each.interface === name) ?? null;
      return unit(`${name}.network`, network(plan, { name, mac }, link));
    }),
  ];
}

function network(
  { bonds, vlans }: NetworkPlan,
  { name, mac }: { readonly name: string; readonly mac: string | undefined },
  link: LinkPlan | null,
): Sections {
  const bond = bonds.find(({ slaves }) => slaves.includes(name));
  const isPrimary = bond?.options.some(
    (option) => option.name === 'primary' && option.value === name,
  );
  const card = [
    ...(link?.mac ? [`MACAddress=${link.mac}`] : []),
    ...(link?.mtu ? [`MTUBytes=${link.mtu}`] : []),
  ];
  return [
    // Devices over a card have its address, too: only the card was made with it.
    [
      'Match',
      mac === undefined
        ? [`Name=${name}`]
        : [`PermanentMACAddress=${mac}`, 'Type=ether', 'Kind=!*'],
    ],
    ['Link', card],
    [
      'Network',
      [
        ...(bond === undefined ? [] : [`Bond=${bond.name}`]),
        ...(isPrimary ? ['PrimarySlave=yes'] : []),
        ...vlans.filter(({ parent }) => parent === name).map((vlan) => `VLAN=${vlan.name}`),
        ...(link === null ? ['LinkLocalAddressing=no', 'IPv6AcceptRA=no'] : addressing(link)),
      ],
    ],
    ...(link === null ? [] : routing(link)),
  ];
}

/** Leases go on under the client identifier of the initramfs. */
function addressing({ methods }: LinkPlan): string[] {
  const four = methods.some((method) => method === 'dhcp' || method === 'auto');
  const six = methods.some((method) => method === 'dhcp6' || method === 'either6');
  const dhcp = four ? (six ? 'yes' : 'ipv4') : six ? 'ipv6' : 'no';
  return [`DHCP=${dhcp}`, `KeepConfiguration=${four ? 'dhcp' : 'static'}`];
}

function routing({ methods, addresses, gateways, routes, metric }: LinkPlan): Sections {
  const asksFour = methods.some((method) => method === 'dhcp' || method === 'auto');
  return [
    ...addresses.map(({ address, prefix, peer }): Sections[number] => [
      'Address',
      [
        `Address=${address}/${prefix}`,
        ...(peer === null ? [] : [`Peer=${peer.address}/${peer.prefix}`]),
      ],
    ]),
    ...gateways.map(({ address, onLink }): Sections[number] => [
      'Route',
      [`Gateway=${address}`, ...(onLink ? ['GatewayOnLink=yes'] : []), `Metric=${metric}`],
    ]),
    ...routes.map(({ destination, gateway }): Sections[number] => [
      'Route',
      [`Destination=${destination}`, ...(gateway === null ? [] : [`Gateway=${gateway}`])],
    ]),
    ['DHCPv4', asksFour ? ['ClientIdentifier=mac', `RouteMetric=${metric}`] : []],
    ['DHCPv6', methods.includes('dhcp6') ? ['WithoutRA=solicit'] : []],
  ];
}

function unit(name: string, sections: Sections): SettingsFile {
  const texts = sections
    .filter(([, lines]) => lines.length > 0)
    .map(([section, lines]) => `[${section}]\n${lines.map((line) => `${line}\n`).join('')}`);
  const path = `/etc/systemd/network/10-billet-${name}`;
  return { path, content: texts.join('\n'), mode: 0o644 };
}
