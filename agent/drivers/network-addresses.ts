// The addresses that links have: read from the kernel, and set. Decides nothing.

import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { type Cidr, canonical, isWithin } from '../boot/network/address.ts';
import type { Gateway, LinkPlan, Route } from '../boot/network/plan.ts';
import { textOrNull } from '../identity/source-file.ts';
import { down, type NetworkDeps, succeed, within } from './network-tools.ts';

export interface Address {
  readonly interface: string;
  readonly mac: string;
  /** With prefix length. */
  readonly cidr: string;
  readonly family: 4 | 6;
  /** As the kernel says: it runs out, as those of router advertisements do. */
  readonly isDynamic: boolean;
}

/** A line of /proc/net/if_inet6 (the kernel's if6_seq_show). */
export interface Inet6 {
  readonly interface: string;
  readonly address: string;
  readonly prefix: number;
  readonly isGlobal: boolean;
  readonly isDynamic: boolean;
  /** Its duplicates are still being looked for (RFC 4862 §5.4). */
  readonly isTentative: boolean;
  /** Another machine has it. */
  readonly isDuplicate: boolean;
}

/** linux/if_addr.h */
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;
const IFA_F_PERMANENT = 0x80;
const DAD_MS = 5000;

export function parseInet6(text: string): Inet6[] {
  const lines = text.matchAll(
    /^([0-9a-f]{32}) [0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)\s+(\S+)$/gm,
  );
  return [...lines].map(([, bytes = '', prefix = '', scope, flags = '', name = '']) => {
    const bits = Number.parseInt(flags, 16);
    return {
      interface: name,
      address: canonical(bytes.match(/.{4}/g)?.join(':') ?? ''),
      prefix: Number.parseInt(prefix, 16),
      isGlobal: scope === '00',
      isDynamic: (bits & IFA_F_PERMANENT) === 0,
      isTentative: (bits & IFA_F_TENTATIVE) !== 0 && (bits & IFA_F_DADFAILED) === 0,
      isDuplicate: (bits & IFA_F_DADFAILED) !== 0,
    };
  });
}

export const inet6 = async ({ root = '/' }: NetworkDeps): Promise<Inet6[]> =>
  parseInet6((await textOrNull(join(root, 'proc/net/if_inet6'))) ?? '');

/** Usable ones: IPv4, and IPv6 that reaches further than the link. IPv4 first. */
export async function addressesOf(deps: NetworkDeps, links: readonly string[]): Promise<Address[]> {
  const all = networkInterfaces();
  const six = await inet6(deps);
  return links.flatMap((link) => {
    const own = all[link] ?? [];
    const mac = own[0]?.mac ?? '';
    const four = own.flatMap(({ family, cidr }) =>
      family === 'IPv4' && cidr !== null
        ? [{ interface: link, mac, cidr, family: 4 as const, isDynamic: false }]
        : [],
    );
    const rest = six
      .filter((each) => each.interface === link && each.isGlobal)
      .filter(({ isTentative, isDuplicate }) => !isTentative && !isDuplicate)
      .map(({ address, prefix, isDynamic }) => ({
        ...{ interface: link, mac, cidr: `${address}/${prefix}`, family: 6 as const, isDynamic },
      }));
    return [...four, ...rest];
  });
}

/** Adds it, unless it is there. IPv6 waits until no other machine answers to it. Throws LINK_DOWN. */
export async function setAddress(
  deps: NetworkDeps,
  link: string,
  { address, family, prefix, peer = null }: Cidr & { readonly peer?: Cidr | null },
  signal: AbortSignal,
): Promise<void> {
  const wanted = canonical(address);
  const has = async () =>
    family === 4
      ? (networkInterfaces()[link] ?? []).some((each) => each.address === wanted)
      : (await inet6(deps)).some((each) => each.interface === link && each.address === wanted);
  if (!(await has())) {
    const own = peer === null ? `${address}/${prefix}` : address;
    const far = peer === null ? [] : ['peer', `${peer.address}/${peer.prefix}`];
    const broadcast = family === 4 && peer === null && prefix < 31 ? ['broadcast', '+'] : [];
    const add = ['address', 'add', own, ...far, ...broadcast, 'dev', link];
    await succeed(deps, ['ip', `-${family}`, ...add], signal);
  }
  if (family === 6) await checkUnique(deps, link, wanted, signal);
}

async function checkUnique(
  deps: NetworkDeps,
  link: string,
  address: string,
  signal: AbortSignal,
): Promise<void> {
  const find = async () =>
    (await inet6(deps)).find((each) => each.interface === link && each.address === address);
  await within(deps.clock, DAD_MS, async () => (await find())?.isTentative !== true, signal);
  if ((await find())?.isDuplicate === true)
    throw down(`another machine on ${link} has the address ${address}`, 'give it another address');
}

/** Routers of a link, in no network of the link where there are none that have it. */
export async function setGateway(
  deps: NetworkDeps,
  link: string,
  { address, family, onLink }: Gateway,
  metric: number,
  signal: AbortSignal,
): Promise<void> {
  const bits = family === 4 ? 32 : 128;
  const direct = ['ip', `-${family}`, 'route', 'replace', `${address}/${bits}`] as const;
  if (onLink) await succeed(deps, [...direct, 'dev', link], signal);
  const via = ['via', address, 'dev', link, 'metric', String(metric)];
  await succeed(deps, ['ip', `-${family}`, 'route', 'replace', 'default', ...via], signal);
}

export const gatewayOf = (address: string, own: Cidr): Gateway => ({
  ...{ address, family: own.family, onLink: !isWithin(own, address) },
});

async function setRoute(
  deps: NetworkDeps,
  link: string,
  { destination, family, gateway }: Route,
  signal: AbortSignal,
): Promise<void> {
  const via = gateway === null ? [] : ['via', gateway];
  const route = ['route', 'replace', destination, ...via, 'dev', link];
  await succeed(deps, ['ip', `-${family}`, ...route], signal);
}

/** What a plan says itself: addresses, routers and routes. Throws LINK_DOWN. */
export async function setStatic(
  deps: NetworkDeps,
  link: string,
  plan: LinkPlan,
  signal: AbortSignal,
): Promise<void> {
  for (const address of plan.addresses) await setAddress(deps, link, address, signal);
  for (const gateway of plan.gateways) await setGateway(deps, link, gateway, plan.metric, signal);
  for (const route of plan.routes) await setRoute(deps, link, route, signal);
}
