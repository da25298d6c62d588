// The network words of the kernel command line, in the grammar of dracut.cmdline(7), section Network.
// Reads what each word says by itself; whether they fit together is plan.ts's. Pure.

import { BilletError } from '#shared/errors.ts';
import { type Cidr, familyOf, prefixOf } from './address.ts';
import { type BondOption, bondOptions } from './bond-options.ts';
import { addressIn, type Context, fieldsOf, interfaceIn, invalid, macIn, mtuIn } from './fields.ts';
import { type IpWord, ipWord } from './ip-word.ts';

export interface VlanWord {
  readonly name: string;
  /** 1 to 4094 (IEEE 802.1Q). */
  readonly id: number;
  readonly parent: string;
}

export interface BondWord {
  readonly name: string;
  readonly slaves: readonly string[];
  readonly options: readonly BondOption[];
  readonly mtu: number | null;
}

export interface NameWord {
  readonly name: string;
  readonly mac: string;
}

export interface RouteWord {
  readonly destination: Cidr;
  readonly gateway: string | null;
  readonly interface: string | null;
  /** As it stands on the command line. */
  readonly word: string;
}

export interface NetworkWords {
  readonly ips: readonly IpWord[];
  readonly vlans: readonly VlanWord[];
  readonly bonds: readonly BondWord[];
  readonly names: readonly NameWord[];
  readonly routes: readonly RouteWord[];
  readonly nameservers: readonly string[];
  readonly bootdev: string | null;
  /** Whether name servers of DHCP count. */
  readonly peerDns: boolean;
  /** Time servers: names or addresses. */
  readonly ntp: readonly string[];
}

/** Words of others are left alone. Throws BOOT_NETWORK_INVALID, naming word and field. */
export function networkWords(words: readonly string[]): NetworkWords {
  const valuesOf = <T>(key: string, form: string, read: (value: string, at: Context) => T): T[] =>
    words
      .filter((word) => word.startsWith(`${key}=`))
      .map((word) => read(word.slice(key.length + 1), { word, form: `${key}=${form}` }));
  for (const key of ['team', 'bridge'])
    valuesOf(key, '', (_, { word }) => {
      throw new BilletError('BOOT_NETWORK_INVALID', `${word}: ${key} devices are not made here`, {
        hint: 'use bond=, or let the system image make it',
      });
    });
  return {
    ips: valuesOf('ip', '<interface>:<method> or the long form of dracut.cmdline(7)', ipWord),
    vlans: valuesOf('vlan', '<name>:<device>, name as vlan5 or eth0.5', vlanWord),
    bonds: [
      ...valuesOf('bond', '<name>:<device>,<device>[:<options>[:<mtu>]]', bondWord),
      ...words.filter((word) => word === 'bond').map((word) => bondWord('', { word, form: word })),
    ],
    names: valuesOf('ifname', '<name>:<MAC address>', nameWord),
    routes: valuesOf('rd.route', '<network>/<prefix>:[<gateway>][:<interface>]', routeWord),
    nameservers: valuesOf('nameserver', '<address>', (value, at) =>
      addressIn(value.replace(/^\[(.*)\]$/, '$1'), 'address', at),
    ),
    bootdev:
      valuesOf('bootdev', '<interface>', (value, at) => interfaceIn(value, 'interface', at)).at(
        -1,
      ) ?? null,
    peerDns: !words.includes('rd.peerdns=0'),
    ntp: valuesOf('billet.ntp', '<host>[,<host>]', ntpWord).flat(),
  };
}

function vlanWord(value: string, at: Context): VlanWord {
  const [name = '', parent = '', ...rest] = fieldsOf(value, at);
  if (rest.length > 0) throw invalid(at, 'device', value);
  interfaceIn(name, 'name', at);
  const [, digits] = /^(?:vlan|.+\.)(\d{1,4})$/.exec(name) ?? [];
  const id = Number(digits ?? Number.NaN);
  if (!(id >= 1 && id <= 4094)) throw invalid(at, 'name', name, 'a VLAN is one of 1 to 4094');
  return { name, id, parent: interfaceIn(parent, 'device', at) };
}

/** Without parameters dracut takes bond0 over eth0 and eth1. */
function bondWord(value: string, at: Context): BondWord {
  // No field has brackets, and the semicolons of arp_ip_target are IPv4 only.
  const [name = '', slaves = '', options = '', mtu = '', ...rest] = value.split(':');
  if (rest.length > 0) throw invalid(at, 'mtu', [mtu, ...rest].join(':'));
  return {
    name: interfaceIn(name || 'bond0', 'name', at),
    slaves: (slaves || 'eth0,eth1').split(',').map((slave) => interfaceIn(slave, 'device', at)),
    options: bondOptions(options || 'mode=balance-rr', at),
    mtu: mtu === '' ? null : mtuIn(mtu, at),
  };
}

function nameWord(value: string, at: Context): NameWord {
  const [, name = '', mac = ''] = /^([^:]*):(.*)$/.exec(value) ?? [];
  return { name: interfaceIn(name, 'name', at), mac: macIn(mac, at) };
}

function routeWord(value: string, at: Context): RouteWord {
  const [net = '', gateway = '', device = '', ...rest] = fieldsOf(value, at);
  if (rest.length > 0) throw invalid(at, 'interface', [device, ...rest].join(':'));
  const [address = '', mask = ''] = net.split('/');
  const family = familyOf(address);
  const prefix = family === null ? null : prefixOf(mask, family);
  if (family === null || prefix === null) throw invalid(at, 'network', net);
  if (gateway === '' && device === '') throw invalid(at, 'gateway', gateway);
  return {
    destination: { address, family, prefix },
    gateway: gateway === '' ? null : addressIn(gateway, 'gateway', at, family),
    interface: device === '' ? null : interfaceIn(device, 'interface', at),
    word: at.word,
  };
}

function ntpWord(value: string, at: Context): string[] {
  return value.split(',').map((each) => {
    const host = each.replace(/^\[(.*)\]$/, '$1');
    const isName = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host);
    if (familyOf(host) === null && !isName) throw invalid(at, 'host', each);
    return host;
  });
}
