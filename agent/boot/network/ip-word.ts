// One ip= word of the kernel command line (dracut.cmdline(7); the long form is also that of the kernel's
// Documentation/admin-guide/nfs/nfsroot.rst). Pure.

import { type Cidr, type Family, familyOf, prefixOf } from './address.ts';
import { addressIn, type Context, fieldsOf, interfaceIn, invalid, macIn, mtuIn } from './fields.ts';

/** either6: addresses by router advertisement, else by DHCPv6. */
export type Method = 'dhcp' | 'dhcp6' | 'auto6' | 'either6';

export interface IpWord {
  /** Null: every wired link, or with an address the only one. */
  readonly interface: string | null;
  /** Null: only the address that stands here. */
  readonly method: Method | null;
  readonly address: Cidr | null;
  /** The other end of a point-to-point link. */
  readonly peer: Cidr | null;
  readonly gateway: string | null;
  /** What a DHCP server is told. */
  readonly hostname: string | null;
  readonly mtu: number | null;
  /** What the card is set to. */
  readonly mac: string | null;
  readonly dns: readonly string[];
  readonly ntp: readonly string[];
  readonly word: string;
}

const METHODS: ReadonlyMap<string, Method | null> = new Map([
  ...['dhcp', 'on', 'any', 'single-dhcp'].map((name) => [name, 'dhcp'] as const),
  ...(['dhcp6', 'auto6', 'either6'] as const).map((name) => [name, name] as const),
  ...['none', 'off', 'static'].map((name) => [name, null] as const),
]);

/** Throws BOOT_NETWORK_INVALID. */
export function ipWord(value: string, at: Context): IpWord {
  const fields = fieldsOf(value, at);
  const [first = '', second = ''] = fields;
  const empty = { address: null, peer: null, gateway: null, hostname: null, dns: [], ntp: [] };
  if (fields.length === 1) {
    const method = methodIn(first, at);
    if (method === null) throw invalid(at, 'method', first, 'without an address');
    return { ...empty, interface: null, method, mtu: null, mac: null, word: at.word };
  }
  // Where the short form has its method, the long one has an address or nothing.
  if (METHODS.has(second) || fields.length < 5) {
    const method = methodIn(second, at);
    if (method === null) throw invalid(at, 'method', second, 'without an address');
    const device = interfaceIn(first, 'interface', at);
    return { ...empty, interface: device, method, ...cardOf(fields.slice(2), at), word: at.word };
  }
  return longForm(fields, at);
}

function longForm(fields: readonly string[], at: Context): IpWord {
  const [client = '', peer = '', gateway = '', mask = '', host = '', device = ''] = fields;
  const named = fields[6] ?? '';
  const address = client === '' ? null : clientIn(client, peer === '' ? mask : mask || 'host', at);
  const method = named === '' ? (client === '' ? 'dhcp' : null) : methodIn(named, at);
  if (method === null && address === null) throw invalid(at, 'client-IP', client);
  if (method === 'dhcp' && address !== null)
    throw invalid(at, 'method', named, 'an address that is given does not come by DHCP');
  const rest = fields.slice(7);
  const isCard = rest.length > 3 || /^\d+$/.test(rest[0] ?? '');
  const servers = isCard ? [] : rest.map((each) => (each === '' ? '' : addressIn(each, 'dns', at)));
  return {
    interface: device === '' ? null : interfaceIn(device, 'interface', at),
    method,
    address,
    peer: address === null || peer === '' ? null : peerIn(peer, address.family, at),
    gateway: gateway === '' ? null : addressIn(gateway, 'gateway', at, address?.family),
    hostname: host === '' ? null : hostnameIn(host, at),
    ...(isCard ? cardOf(rest, at) : { mtu: null, mac: null }),
    dns: servers.slice(0, 2).filter(Boolean),
    ntp: servers.slice(2).filter(Boolean),
    word: at.word,
  };
}

function methodIn(text: string, at: Context): Method | null {
  const method = METHODS.get(text);
  if (method !== undefined) return method;
  const why = ['ibft', 'link6'].includes(text) ? 'Billet does not know how' : '';
  throw invalid(at, 'method', text, why || 'one of dhcp, auto6, dhcp6, either6, none');
}

/** `[<mtu>][:<macaddr>]`, split at each colon. */
function cardOf(rest: readonly string[], at: Context): Pick<IpWord, 'mtu' | 'mac'> {
  const [mtu = '', ...mac] = rest;
  return {
    mtu: mtu === '' ? null : mtuIn(mtu, at),
    mac: mac.join(':') === '' ? null : macIn(mac.join(':'), at),
  };
}

/** The whole network has to be known: there is no guess by class (RFC 4632). */
function clientIn(address: string, mask: string, at: Context): Cidr {
  const family = familyOf(addressIn(address, 'client-IP', at)) as Family;
  const prefix = mask === 'host' ? (family === 4 ? 32 : 128) : prefixOf(mask, family);
  if (prefix === null || prefix === 0) throw invalid(at, 'netmask', mask, 'a prefix length as 24');
  return { address, family, prefix };
}

function peerIn(text: string, family: Family, at: Context): Cidr {
  const [address = '', mask] = text.split('/');
  addressIn(address, 'peer', at, family);
  const prefix = mask === undefined ? (family === 4 ? 32 : 128) : prefixOf(mask, family);
  if (prefix === null) throw invalid(at, 'peer', text);
  return { address, family, prefix };
}

/** RFC 1123 §2.1. */
function hostnameIn(text: string, at: Context): string {
  const label = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
  if (text.length <= 253 && new RegExp(`^${label}(\\.${label})*$`).test(text)) return text;
  throw invalid(at, 'client_hostname', text);
}
