// IP addresses as the boot words write them: which family, which prefix, what lies in which network.
// Pure.

import { z } from 'zod';

export type Family = 4 | 6;

export interface Cidr {
  readonly address: string;
  readonly family: Family;
  /** Bits of the network: 0 to 32, or to 128. */
  readonly prefix: number;
}

const BITS = { 4: 32, 6: 128 } as const;

/** Null for anything but an address; without a zone, and without brackets. */
export function familyOf(text: string): Family | null {
  if (z.ipv4().safeParse(text).success) return 4;
  return z.ipv6().safeParse(text).success ? 6 : null;
}

/** RFC 5952 for IPv6, as the URL standard writes a host; IPv4 as it is. */
export const canonical = (address: string): string =>
  address.includes(':') ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;

/** A prefix length, or for IPv4 a netmask whose ones come first; null for anything else. */
export function prefixOf(text: string, family: Family): number | null {
  if (/^\d{1,3}$/.test(text)) {
    const prefix = Number(text);
    return prefix <= BITS[family] ? prefix : null;
  }
  if (family !== 4 || familyOf(text) !== 4) return null;
  const ones = numberOf(text, 4).toString(2).padStart(32, '0');
  return /^1*0*$/.test(ones) ? ones.replaceAll('0', '').length : null;
}

export const isHost = ({ family, prefix }: Cidr): boolean => prefix === BITS[family];

/** Whether the address is in the network of `cidr`. */
export function isWithin(cidr: Cidr, address: string): boolean {
  if (familyOf(address) !== cidr.family) return false;
  const host = BigInt(BITS[cidr.family] - cidr.prefix);
  return numberOf(address, cidr.family) >> host === numberOf(cidr.address, cidr.family) >> host;
}

/** Goes through no router: fe80::/10 (RFC 4291 §2.5.6). */
export const isLinkLocal = (address: string): boolean =>
  isWithin({ address: 'fe80::', family: 6, prefix: 10 }, address);

/** The network itself, without the bits of a host in it. */
export function networkOf({ address, family, prefix }: Cidr): string {
  const host = BigInt(BITS[family] - prefix);
  const number = (numberOf(address, family) >> host) << host;
  if (number === numberOf(address, family)) return `${address}/${prefix}`;
  return `${canonical(textOf(number, family))}/${prefix}`;
}

function textOf(number: bigint, family: Family): string {
  const [count, bits] = family === 4 ? [4, 8n] : [8, 16n];
  const parts = Array.from({ length: count }, (_, at) =>
    Number((number >> (bits * BigInt(count - 1 - at))) & ((1n << bits) - 1n)),
  );
  return family === 4 ? parts.join('.') : parts.map((part) => part.toString(16)).join(':');
}

/** Of an address that `familyOf` knows. */
function numberOf(address: string, family: Family): bigint {
  if (family === 4)
    return address.split('.').reduce((number, part) => (number << 8n) | BigInt(part), 0n);
  const [left = [], right = []] = address.split('::').map(groupsOf);
  const zeros = Array<bigint>(Math.max(0, 8 - left.length - right.length)).fill(0n);
  return [...left, ...zeros, ...right].reduce((number, group) => (number << 16n) | group, 0n);
}

/** RFC 4291 §2.2: groups of four digits, the last two of them maybe as an IPv4 address. */
function groupsOf(text: string): bigint[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)];
    const number = numberOf(group, 4);
    return [number >> 16n, number & 0xffffn];
  });
}
