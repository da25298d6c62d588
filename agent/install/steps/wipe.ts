// Step wipe: the disk is claimed for the event, and says no more what it held.

import { writeDevice } from '../../drivers/block-device.ts';
import { eraseSignatures } from '../../drivers/wipefs.ts';
import { GIVEN_UP_MAX, RECORD_BLOCK_BYTES, RECORD_OFFSETS } from '../record.ts';
import { type Step, seeAgain } from '../step.ts';
import { signatureId } from '../wipe-id.ts';

const EDGE_BYTES = 2 ** 20;
const AFTER_RECORD = RECORD_OFFSETS[1] + RECORD_BLOCK_BYTES;

/** The claim is on the disk before anything is lost: what is half wiped is then known as ours. */
export const wipe: Step = async (context, signal) => {
  const { ports, on, journal, onProgress } = context;
  const { exec, vault } = ports;
  // Since it was chosen a signature was fetched, and another disk may have taken its name.
  await seeAgain(context);
  // Only LUKS of this agent's own may be open on it, which keeps the kernel from a new table.
  if (on.holders.length > 0) await vault?.lock(on.device, signal);
  await journal.note({ done: [], givenUp: on.signatures.map(signatureId).slice(0, GIVEN_UP_MAX) });
  onProgress(0.2);
  for (const { device } of on.partitions) await eraseSignatures(exec, device, signal);
  await eraseSignatures(exec, on.device, signal);
  onProgress(0.6);
  // What has no name, and the partition tables at both ends. The claim stays.
  await writeDevice(on.device, 0, Buffer.alloc(RECORD_OFFSETS[0]));
  const endAt = Math.max(AFTER_RECORD, on.disk.sizeBytes - EDGE_BYTES);
  await writeDevice(on.device, endAt, Buffer.alloc(Math.max(0, on.disk.sizeBytes - endAt)));
};
