// The journal of an installation on the disk itself: two blocks in the gap before the first partition,
// written in turns, so that a write that is torn leaves the one before. Bytes only; drivers/ moves them.
//
//   | GPT … | 1 MiB - 8 KiB: block 0 | 1 MiB - 4 KiB: block 1 | 1 MiB: first partition
//   block: "BILLET INSTALL 1\n"  <crc32 of the JSON, 8 hex digits>"\n"  JSON  zeros to 4096 bytes

import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { jsonOf } from '#shared/json.ts';
import { InstanceId, ResourceName } from '#shared/schema/ids.ts';
import { InstallEventId } from '#shared/schema/install-plan.ts';
import { INSTALL_STEPS, InstallStep } from '#shared/schema/install-report.ts';
import { SignatureId } from './wipe-id.ts';

export const RECORD_BLOCK_BYTES = 4096;
export const RECORD_OFFSETS = [2 ** 20 - 8192, 2 ** 20 - 4096] as const;

/** They fit into the block beside a recovery key. Of a signature beyond them nobody knows later that it was given up. */
export const GIVEN_UP_MAX = 128;

export const InstallRecord = z.object({
  format: z.literal(1),
  /** Grows with each write: the greater one counts. */
  sequence: z.int().nonnegative(),
  instance: InstanceId,
  event: InstallEventId,
  profile: ResourceName,
  /** Steps that are over. All of them: installed. */
  done: z.array(InstallStep).max(INSTALL_STEPS.length),
  /** What was on the disk when it was claimed, by its names (`signatureId`): until it is wiped, that is ours. */
  givenUp: z.array(SignatureId).max(GIVEN_UP_MAX),
  /** Sealed to the operator, for every report to the coordinator; base64. */
  recoveryKey: z.base64().max(2048).nullable(),
});
export type InstallRecord = z.infer<typeof InstallRecord>;

const MAGIC = 'BILLET INSTALL 1\n';

export function encodeRecord(record: InstallRecord): Buffer {
  const json = JSON.stringify(record);
  const block = Buffer.alloc(RECORD_BLOCK_BYTES);
  block.write(`${MAGIC}${checksum(json)}\n${json}`, 'utf8');
  return block;
}

/** Null for anything that no installer wrote whole. */
export function decodeRecord(block: Buffer): InstallRecord | null {
  const text = block.toString('utf8').replace(/\0+$/, '');
  if (!text.startsWith(MAGIC)) return null;
  const crc = text.slice(MAGIC.length, MAGIC.length + 8);
  const json = text.slice(MAGIC.length + 9);
  if (checksum(json) !== crc) return null;
  // Any disk that is plugged in is read: its checksum is no proof that an installer wrote it.
  return InstallRecord.safeParse(jsonOf(json)).data ?? null;
}

/** The one that counts, of what stands in the two blocks. */
export function newestRecord(blocks: readonly Buffer[]): InstallRecord | null {
  const whole = blocks.flatMap((block) => decodeRecord(block) ?? []);
  return whole.sort((a, b) => b.sequence - a.sequence)[0] ?? null;
}

/** Where a record goes: the block that the one before is not in. */
export const recordOffset = ({ sequence }: Pick<InstallRecord, 'sequence'>): number =>
  RECORD_OFFSETS[sequence % 2 === 0 ? 0 : 1];

export const isFinished = ({ done }: InstallRecord): boolean =>
  INSTALL_STEPS.every((step) => done.includes(step));

const checksum = (text: string): string => crc32(text).toString(16).padStart(8, '0');
