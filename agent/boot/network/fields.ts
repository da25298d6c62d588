// The fields of a network word: split at its colons, each read as one kind of value. Every refusal names
// the word and the field. Pure.

import { BilletError } from '#shared/errors.ts';
import { type Family, familyOf } from './address.ts';

/** One word and what was being read of it, for errors that name both. */
export interface Context {
  readonly word: string;
  readonly form: string;
}

/** At colons outside of brackets; the brackets themselves are gone. */
export function fieldsOf(value: string, at: Context): string[] {
  const fields = value.match(/(?:\[[^[\]]*\]|[^:[\]])*(?::|$)/g) ?? [];
  if (fields.join('') !== value) throw invalid(at, 'address', value, 'brackets go around IPv6');
  // The match at the very end is the empty one after the last field, unless the value ends in a colon.
  const whole = value.endsWith(':') || value === '' ? fields : fields.slice(0, -1);
  return whole.map((field) => field.replace(/:$/, '').replace(/^\[(.*)\]$/, '$1'));
}

/** A name that the kernel takes (dev_valid_name), of characters that also a file name can have. */
export function interfaceIn(text: string, field: string, at: Context): string {
  if (/^[A-Za-z0-9_.-]{1,15}$/.test(text) && !/^\.{1,2}$/.test(text)) return text;
  throw invalid(at, field, text, 'an interface has a name of at most 15 characters');
}

export function addressIn(text: string, field: string, at: Context, family?: Family): string {
  const found = familyOf(text);
  if (found !== null && (family === undefined || found === family)) return text;
  throw invalid(at, field, text, 'IPv6 addresses are put in brackets: [2001:db8::1]');
}

export function mtuIn(text: string, at: Context): number {
  const mtu = /^\d{2,5}$/.test(text) ? Number(text) : 0;
  if (mtu >= 68 && mtu <= 65_535) return mtu;
  throw invalid(at, 'mtu', text, 'an MTU is one of 68 to 65535');
}

/** In lower case. A group address, or none, is not one that a card can have. */
export function macIn(text: string, at: Context): string {
  const mac = text.toLowerCase();
  const isCard = /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac) && !/^[0:]*$/.test(mac);
  if (isCard) return mac;
  throw invalid(at, 'MAC address', text, 'six pairs of hexadecimal digits, the first one even');
}

export function invalid(
  { word, form }: Context,
  field: string,
  value: string,
  why = '',
): BilletError {
  const message = `${word}: "${value}" is no ${field}${why === '' ? '' : ` (${why})`}`;
  return new BilletError('BOOT_NETWORK_INVALID', message, {
    hint: `the form is ${form}; docs/boot-networking.md has examples`,
    details: { word, field },
  });
}
