// Identifiers that follow from an install event: who knows the event knows the disk. Pure functions.

import { createHash, createHmac } from 'node:crypto';
import type { InstallEventId } from '#shared/schema/install-plan.ts';

/** Of Billet's install events; drawn once, never changed. */
const NAMESPACE = '0e8a3b52-6f0d-4f7e-9c61-5b1d2f7a9e44';

/** UUIDv5 (RFC 9562 §5.5) of an event: the seed for systemd-repart. */
export function eventSeed(event: InstallEventId): string {
  const hash = createHash('sha1').update(bytesOf(NAMESPACE)).update(event).digest();
  return uuidOf(hash.subarray(0, 16), 5);
}

/** The GUID that systemd-repart gives a disk under a seed: repart(8), --seed=; HMAC-SHA256 as a UUIDv4. */
export function diskGuid(seed: string): string {
  const hash = createHmac('sha256', bytesOf(seed)).update('disk-uuid').digest();
  return uuidOf(hash.subarray(0, 16), 4);
}

const bytesOf = (uuid: string): Buffer => Buffer.from(uuid.replaceAll('-', ''), 'hex');

function uuidOf(bytes: Buffer, version: number): string {
  const own = Buffer.from(bytes);
  own[6] = ((own[6] ?? 0) & 0x0f) | (version << 4);
  own[8] = ((own[8] ?? 0) & 0x3f) | 0x80;
  return own.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
