// What the network words want of a machine, checked as a whole: devices to make, addresses to set. Decides
// without looking at the machine; that a device is missing, drivers/network.ts finds out. Pure.

import { BilletError } from '#shared/errors.ts';
import { type Cidr, type Family, isHost, isLinkLocal, isWithin, networkOf } from './address.ts';
import type { IpWord, Method } from './ip-word.ts';
import type { BondWord, NameWord, NetworkWords, RouteWord, VlanWord } from './words.ts';

/** auto: what the network offers, DHCP before router advertisements. */
export type LinkMethod = Method | 'auto';

export interface StaticAddress extends Cidr {
  readonly peer: Cidr | null;
}

export interface Gateway {
  readonly address: string;
  readonly family: Family;
  /** In no network of the link: reached directly all the same. */
  readonly onLink: boolean;
}

export interface Route {
  /** With its prefix length. */
  readonly destination: string;
  readonly family: Family;
  /** Null: the destination is on the link. */
  readonly gateway: string | null;
}

export interface LinkPlan {
  /** Null: the one wired link that there is. */
  readonly interface: string | null;
  readonly methods: readonly LinkMethod[];
  readonly addresses: readonly StaticAddress[];
  readonly gateways: readonly Gateway[];
  readonly routes: readonly Route[];
  readonly hostname: string | null;
  readonly mtu: number | null;
  readonly mac: string | null;
  /** Of its default routes: the lowest wins. */
  readonly metric: number;
}

export interface NetworkPlan {
  readonly by: 'words' | 'default';
  readonly names: readonly NameWord[];
  readonly bonds: readonly BondWord[];
  readonly vlans: readonly VlanWord[];
  /** Wired devices that have to be there, by the names that they have at the end. */
  readonly devices: readonly string[];
  readonly links: readonly LinkPlan[];
  /** For every wired link, where no word names one: its interface is each of them. */
  readonly everyLink: LinkPlan | null;
  readonly bootdev: string | null;
  readonly nameservers: readonly string[];
  readonly peerDns: boolean;
  readonly ntp: readonly string[];
}

const METRIC = 100;

/** Throws BOOT_NETWORK_INVALID for words that contradict each other. */
export function planNetwork(words: NetworkWords): NetworkPlan {
  const { ips, names, bonds, vlans, routes, bootdev } = words;
  assertDevices(words);
  const named = ips.filter((ip) => ip.interface !== null || ip.address !== null);
  const everywhere = ips.find((ip) => !named.includes(ip));
  if (everywhere !== undefined && ips.length > 1)
    throw contradiction(everywhere.word, 'is for all links, and other ip= words are for some');
  const slaves = new Set(bonds.flatMap((bond) => bond.slaves));
  const below = new Set([...slaves, ...vlans.map(({ parent }) => parent)]);
  const made = [...bonds, ...vlans].map(({ name }) => name);
  const onTop = made.filter((name) => !below.has(name));
  const order = interfacesOf(named, everywhere === undefined ? [] : onTop, onTop);
  const links = order.map((device, at) => {
    const own = everywhere ? [everywhere] : named.filter((ip) => ip.interface === device);
    return linkPlan(device, own, device === bootdev ? METRIC : METRIC + 1 + at);
  });
  const taken = order.find((device) => device !== null && slaves.has(device));
  if (taken !== undefined)
    throw contradiction(`ip= of ${taken}`, 'is for a device of a bond: the bond has the address');
  if (bootdev !== null && links.length > 0 && !order.includes(bootdev))
    throw contradiction(`bootdev=${bootdev}`, 'names an interface that no ip= word is for');
  return {
    by: ips.length + bonds.length + vlans.length + names.length > 0 ? 'words' : 'default',
    ...{ names, bonds, vlans, bootdev, peerDns: words.peerDns },
    devices: [
      ...new Set([...names.map(({ name }) => name), ...below, ...order.filter((d) => d !== null)]),
    ].filter((name) => !made.includes(name)),
    links: withRoutes(links, routes),
    everyLink: links.length > 0 ? null : linkPlan(null, everywhere ? [everywhere] : [], METRIC + 1),
    nameservers: unique([...words.nameservers, ...ips.flatMap(({ dns }) => dns)]),
    ntp: unique([...words.ntp, ...ips.flatMap(({ ntp }) => ntp)]),
  };
}

/** What a plan for every link means for this one. */
export const linkOfEvery = (
  every: LinkPlan,
  { bootdev }: Pick<NetworkPlan, 'bootdev'>,
  name: string,
): LinkPlan & { readonly interface: string } => ({
  ...every,
  interface: name,
  metric: name === bootdev ? METRIC : every.metric,
});

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** In the order of the command line; a device on top that no word is for gets what is there. */
function interfacesOf(
  named: readonly IpWord[],
  all: readonly string[],
  onTop: readonly string[],
): (string | null)[] {
  const order = unique([...named.map((ip) => ip.interface), ...all]);
  if (!order.includes(null)) return order.length > 0 ? order : [...onTop];
  const word = named.find((ip) => ip.interface === null)?.word ?? 'ip=';
  if (order.length > 1 || onTop.length > 0)
    throw contradiction(word, 'leaves its interface open, and there are several to choose from');
  return order;
}

function linkPlan(device: string | null, words: readonly IpWord[], metric: number): LinkPlan {
  const addresses = words.flatMap(({ address, peer }) =>
    address === null ? [] : [{ ...address, peer }],
  );
  const last = <K extends 'hostname' | 'mtu' | 'mac'>(key: K) =>
    words.map((word) => word[key]).findLast((value) => value !== null) ?? null;
  return {
    interface: device,
    methods:
      words.length === 0
        ? ['auto']
        : unique(words.flatMap(({ method }) => (method === null ? [] : [method]))),
    addresses,
    gateways: words.flatMap((word) => gatewayOf(word, addresses)),
    routes: [],
    ...{ hostname: last('hostname'), mtu: last('mtu'), mac: last('mac'), metric },
  };
}

/** A router that no network of the link has is a slip, except where each host is a network of its own. */
function gatewayOf({ gateway, word }: IpWord, addresses: readonly StaticAddress[]): Gateway[] {
  if (gateway === null) return [];
  const family = gateway.includes(':') ? 6 : 4;
  const nets = addresses.flatMap(({ peer, ...own }) => (peer === null ? [own] : [own, peer]));
  const inside = isLinkLocal(gateway) || nets.some((net) => isWithin(net, gateway));
  const own = addresses.filter((each) => each.family === family);
  if (!inside && own.length > 0 && !own.some(isHost))
    throw new BilletError(
      'BOOT_NETWORK_INVALID',
      `${word}: the gateway ${gateway} is in no network of ${own.map(networkOf).join(', ')}`,
      { hint: 'mend gateway-IP or netmask: a router is in the network that it is for' },
    );
  return [{ address: gateway, family, onLink: !inside }];
}

/** Each route goes to the link that it names, or whose network has its router. */
function withRoutes(links: readonly LinkPlan[], routes: readonly RouteWord[]): LinkPlan[] {
  const owners = routes.map((route) => {
    const { gateway } = route;
    const owner =
      route.interface !== null
        ? links.find((link) => link.interface === route.interface)
        : links.length === 1
          ? links[0]
          : links.find(
              ({ addresses }) =>
                gateway !== null && addresses.some((each) => isWithin(each, gateway)),
            );
    if (owner !== undefined) return owner;
    throw contradiction(route.word, 'leads over no interface that an ip= word names');
  });
  return links.map((link) => ({
    ...link,
    routes: routes
      .filter((_, at) => owners[at] === link)
      .map(({ destination, gateway }) => ({
        ...{ destination: networkOf(destination), family: destination.family, gateway },
      })),
  }));
}

/** Each device is made once, over devices that can carry it. */
function assertDevices({ bonds, vlans, names }: NetworkWords): void {
  const made = [...bonds, ...vlans, ...names].map(({ name }) => name);
  const twice = made.find((name, at) => made.indexOf(name) !== at);
  if (twice !== undefined) throw contradiction(twice, 'is the name of two interfaces');
  const macs = names.map(({ mac }) => mac);
  const shared = macs.find((mac, at) => macs.indexOf(mac) !== at);
  if (shared !== undefined) throw contradiction(`ifname= of ${shared}`, 'gives a card two names');
  const virtual = new Set([...bonds, ...vlans].map(({ name }) => name));
  const slaves = bonds.flatMap((bond) => bond.slaves);
  for (const [at, slave] of slaves.entries()) {
    if (virtual.has(slave)) throw contradiction(`bond= over ${slave}`, 'is over no wired device');
    if (slaves.indexOf(slave) !== at)
      throw contradiction(`bond= over ${slave}`, 'names the device twice');
  }
  for (const { name, parent } of vlans) {
    if (vlans.some((other) => other.name === parent))
      throw contradiction(`vlan=${name}:${parent}`, 'is a VLAN in a VLAN, which is not made here');
    if (slaves.includes(parent))
      throw contradiction(`vlan=${name}:${parent}`, 'is on a device of a bond: put it on the bond');
  }
  for (const { name, slaves: own, options } of bonds) {
    const primary = options.find((option) => option.name === 'primary')?.value;
    if (primary !== undefined && !own.includes(primary))
      throw contradiction(`bond=${name}`, `has not the primary device ${primary}`);
  }
}

function contradiction(word: string, why: string): BilletError {
  return new BilletError('BOOT_NETWORK_INVALID', `${word} ${why}`, {
    hint: 'mend the kernel command line; docs/boot-networking.md has examples',
  });
}
