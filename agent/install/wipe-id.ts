// Names the content of a disk, so that an operator can give up just that. Pure.

import { z } from 'zod';
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

/** One of them, short enough to stand among many in the journal on the disk. */
export const SignatureId = z
  .string()
  .regex(/^[0-9a-f]{8}$/)
  .brand('SignatureId');
export type SignatureId = z.infer<typeof SignatureId>;

export const signatureId = (signature: Signature): SignatureId =>
  hexOf(sha256(wordsOf(signature))).slice(0, 8) as SignatureId;

const wordsOf = ({ startBytes, offset, type, label, uuid }: Signature): string =>
  [startBytes, offset, type, label ?? '', uuid ?? ''].join(' ');

/** Kernel names are not in it: they move from boot to boot. */
export function wipeId(disk: Disk, signatures: readonly Signature[]): WipeId {
  const names = [...(disk.byId ?? [])].sort();
  const found = signatures.map(wordsOf);
  const { serial = '', wwn = '', sizeBytes } = disk;
  const content = JSON.stringify([names, serial, wwn, sizeBytes, found.sort()]);
  return `wipe-${hexOf(sha256(content)).slice(0, 16)}` as WipeId;
}

/** `gpt, ext4 "data", crypto_LUKS`, for people. */
export function describeContent(signatures: readonly Signature[]): string {
  const words = signatures.map(({ type, label }) => (label ? `${type} "${label}"` : type));
  return [...new Set(words)].join(', ') || 'nothing';
}
