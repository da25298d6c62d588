// Names the content of a disk, so that an operator can give up just that. Pure.

import { hexOf, sha256 } from '#shared/digest.ts';
import type { Disk } from '#shared/schema/facts.ts';
import type { WipeId } from '#shared/schema/install-plan.ts';

/** The type of bytes that nobody has a name for. */
export const NAMELESS = 'data of unknown kind';

/** Something on a disk that says what it is, as wipefs(8) finds it; or bytes without a name. */
export interface Signature {
  /** Of the device that it was found on, from the start of the disk: 0 is the disk itself. */
  readonly startBytes: number;
  readonly offset: string;
  readonly type: string;
  readonly label?: string | undefined;
  readonly uuid?: string | undefined;
}

/** Kernel names are not in it: they move from boot to boot. */
export function wipeId(disk: Disk, signatures: readonly Signature[]): WipeId {
  const names = [...(disk.byId ?? [])].sort();
  const found = signatures.map(({ startBytes, offset, type, label, uuid }) =>
    [startBytes, offset, type, label ?? '', uuid ?? ''].join(' '),
  );
  const { serial = '', wwn = '', sizeBytes } = disk;
  const content = JSON.stringify([names, serial, wwn, sizeBytes, found.sort()]);
  return `wipe-${hexOf(sha256(content)).slice(0, 16)}` as WipeId;
}

/** `gpt, ext4 "data", crypto_LUKS`, for people. */
export function describeContent(signatures: readonly Signature[]): string {
  const words = signatures.map(({ type, label }) => (label ? `${type} "${label}"` : type));
  return [...new Set(words)].join(', ') || 'nothing';
}
