// New names and secrets, from the kernel's random numbers. Knows nothing of who they are for.

import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { InstanceId, TaskId, TokenId } from '#shared/schema/ids.ts';
import { InstallEventId } from '#shared/schema/install-plan.ts';
import { OperationKey } from '#shared/schema/provider.ts';

const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz';

/** `length` characters of 0-9a-z; 16 of them are 82 bits. */
export const randomName = (length = 16): string =>
  Array.from({ length }, () => DIGITS[randomInt(DIGITS.length)]).join('');

export const newInstanceId = (): InstanceId => InstanceId.parse(`i-${randomName()}`);
export const newTaskId = (): TaskId => TaskId.parse(`t-${randomName()}`);

export const newInstallEventId = (): InstallEventId => InstallEventId.parse(`ie-${randomName()}`);

export const newOperationKey = (): OperationKey => OperationKey.parse(`o-${randomName()}`);

/**
 * SMBIOS UUID and MAC address of the machine of an operation: always the same, so that a machine is
 * known by its own. The address is QEMU's prefix and three bytes.
 */
export function machineNames(operation: OperationKey) {
  const hex = createHash('sha256').update(operation).digest('hex');
  const uuid = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
  const mac = `52:54:00:${hex.slice(32, 34)}:${hex.slice(34, 36)}:${hex.slice(36, 38)}`;
  return { uuid, mac };
}

/** 43 characters of base64url: 256 random bits. */
export const newSecret = (): string => randomBytes(32).toString('base64url');

/** What is stored of a secret: SHA-256, hex. Enough for 256 random bits; a password would need more. */
export const hashSecret = (secret: string): string =>
  createHash('sha256').update(secret).digest('hex');

/** In constant time; false for anything that is not the hash of the same secret. */
export function secretMatches(secret: string, hash: string): boolean {
  const [given, stored] = [Buffer.from(hashSecret(secret), 'hex'), Buffer.from(hash, 'hex')];
  return given.length === stored.length && timingSafeEqual(given, stored);
}

/**
 * The id of a bootstrap token: made of its hash, so that the token alone finds its record. It shows
 * 82 bits of the hash of 256 random bits, which helps nobody to the token.
 */
export function tokenIdOf(secret: string): TokenId {
  let rest = BigInt(`0x${hashSecret(secret)}`);
  let id = '';
  for (let at = 0; at < 16; at += 1) {
    id += DIGITS[Number(rest % 36n)];
    rest /= 36n;
  }
  return TokenId.parse(`k-${id}`);
}

/** RFC 3339 in UTC, of Unix milliseconds. */
export const isoTime = (ms: number): string => new Date(ms).toISOString();
