// Step slot: the boot image as one file in slot A, which is a folder of the ESP. Slot B stays empty: the
// running system fills it (agent/slots/).

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { entryName, freshEntry, parseEntry } from '../../slots/entry-name.ts';
import { hasDigest, verifiedBoot, writeBootFile } from '../boot-files.ts';
import { layoutNow, mounted, type Step } from '../step.ts';

/** Where a loader looks for unified kernel images (Boot Loader Specification, type #2). */
const SLOT_DIR = 'EFI/Linux';

export const slot: Step = async (context, signal) => {
  const { ports, request } = context;
  const { esp } = await layoutNow(context);
  const { uki: file, source } = await verifiedBoot(request, signal);
  const name = entryName(freshEntry(request.desired.generation));
  const part = { device: esp, type: ports.espType };
  await mounted(ports, part, async (dir) => {
    const slots = join(dir, SLOT_DIR);
    await mkdir(slots, { recursive: true });
    // Of a generation that was wanted when an attempt before this one was cut off.
    for (const other of await readdir(slots))
      if (other !== name && (parseEntry(other) !== null || other.endsWith('.part')))
        await rm(join(slots, other));
    await writeBootFile(
      join(slots, name),
      { file, source },
      (share) => context.onProgress(share * 0.9),
      signal,
    );
  });
  // Mounted anew, it comes from the disk: what a disk does not keep is seen now, not at its first boot.
  const kept = await mounted(ports, part, (dir) => hasDigest(join(dir, SLOT_DIR, name), file));
  if (kept) return;
  throw new BilletError('INSTALL_DISK_FAILED', `${esp} does not keep what is written to it`, {
    hint: 'replace the disk; it is tried again',
    details: { path: join(SLOT_DIR, name), digest: file.digest },
  });
};
