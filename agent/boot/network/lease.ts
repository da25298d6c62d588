// What a DHCP server gave, as initramfs/udhcpc.sh leaves it. Anybody on the segment may have said it: only
// what is an address, a domain or a time server counts. Pure.

import { type Cidr, canonical, familyOf, prefixOf } from './address.ts';

export interface Lease {
  readonly address: Cidr | null;
  /** The first one. */
  readonly router: string | null;
  readonly dns: readonly string[];
  readonly domain: string | null;
  /** DHCP option 42 (RFC 2132 §8.3). */
  readonly ntp: readonly string[];
  /** How long the address is this machine's, from when it was given; null: for good. */
  readonly seconds: number | null;
}

export function parseLease(text: string): Lease {
  const values = new Map(
    text.split('\n').map((line) => {
      const [, key = '', value = ''] = /^(\w+)=(.*)$/.exec(line) ?? [];
      return [key, value.trim()] as const;
    }),
  );
  const addresses = (key: string) =>
    (values.get(key) ?? '')
      .split(/\s+/)
      .filter((each) => familyOf(each) !== null)
      .map(canonical);
  const [ip] = addresses('ip');
  const [ipv6] = addresses('ipv6');
  const domain = values.get('domain') ?? '';
  return {
    address:
      ip !== undefined
        ? { address: ip, family: 4, prefix: prefixOf(values.get('mask') ?? '', 4) ?? 24 }
        : ipv6 !== undefined
          ? { address: ipv6, family: 6, prefix: 128 }
          : null,
    router: addresses('router')[0] ?? null,
    dns: addresses('dns'),
    domain: /^[A-Za-z0-9.-]{1,253}$/.test(domain) ? domain : null,
    ntp: addresses('ntpsrv'),
    seconds: secondsOf(values.get('lease') ?? ''),
  };
}

/** RFC 2131 §3.3: all ones is infinity. */
const INFINITE = 0xffff_ffff;

function secondsOf(text: string): number | null {
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : INFINITE;
  return seconds >= INFINITE || seconds === 0 ? null : seconds;
}
