// Escapes and fields of composefs-dump(5). Text only: knows no tree.

import { formatError } from './format-error.ts';

const SHORT = new Map([
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);
const LONG = new Map([...SHORT].map(([char, escaped]) => [escaped.slice(1), char]));

const hexEscape = (char: string): string =>
  `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;

/** Bytes that do not print, spaces and backslashes become escapes. */
export const escapeBytes = (bytes: string): string =>
  bytes.replace(/[^!-[\]-~]/g, (char) => SHORT.get(char) ?? hexEscape(char));

/** A field that may be absent (`-`): a lone dash is escaped. */
export function escapeOptional(bytes: string | null): string {
  if (bytes === null) return '-';
  return bytes === '-' ? hexEscape('-') : escapeBytes(bytes);
}

/** Keys and values of xattrs: `=` is escaped too. */
export const escapeXattr = (bytes: string): string => escapeBytes(bytes).replaceAll('=', '\\x3d');

/** Errors: COMPOSEFS_FORMAT for an escape that is not one. */
export function unescapeBytes(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(
    /\\(?:x([0-9A-Fa-f]{2})|([\s\S])|$)/g,
    (escaped, hex?: string, char?: string) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      const short = char === undefined ? undefined : LONG.get(char);
      if (short === undefined) throw formatError(`"${escaped}" is not an escape of composefs-dump`);
      return short;
    },
  );
}

export const unescapeOptional = (text: string): string | null =>
  text === '-' ? null : unescapeBytes(text);

/** Errors: COMPOSEFS_FORMAT for anything but digits, or a number over `max`. */
export function parseField(text: string, name: string, radix: 8 | 10, max: number): number {
  const isNumber = radix === 8 ? /^[0-7]+$/.test(text) : /^[0-9]+$/.test(text);
  const value = Number.parseInt(text, radix);
  if (!isNumber || value > max) throw formatError(`"${text}" is not a valid ${name}`);
  return value;
}

/** `seconds.nanoseconds`: two whole numbers; `1.5` is one second and five nanoseconds. */
export function parseTime(text: string): { mtimeSec: number; mtimeNsec: number } {
  const [, seconds = '', nanoseconds = ''] = /^(-?[0-9]+)\.([0-9]+)$/.exec(text) ?? [];
  const mtimeSec = Number(seconds);
  const mtimeNsec = Number(nanoseconds);
  if (seconds === '' || !Number.isSafeInteger(mtimeSec) || mtimeNsec > 999_999_999)
    throw formatError(`"${text}" is not a valid time`);
  return { mtimeSec, mtimeNsec };
}
