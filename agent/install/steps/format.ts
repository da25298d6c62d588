// Step format: persist is ready for its first mount, encrypted where the profile says so, and holds the
// node's key: from here on a power cut costs no bootstrap token.

import { BilletError } from '#shared/errors.ts';
import { execOrThrow } from '../../drivers/exec.ts';
import { copyState } from '../copy-state.ts';
import type { InstalledDisk } from '../ports.ts';
import { PARTITION } from '../seen.ts';
import { layoutNow, type Step, type StepContext } from '../step.ts';

export const format: Step = async (context, signal) => {
  const { profile } = context;
  const layout = await layoutNow(context);
  const device = profile.encrypts ? await sealed(context, layout, signal) : layout.persist;
  context.onProgress(0.8);
  await copyState(context, device);
};

/** Sealed once: with a key in the journal, the file system is there, too, and that key opens it. */
async function sealed(
  { ports, request, journal, onProgress }: StepContext,
  { persist }: InstalledDisk,
  signal: AbortSignal,
): Promise<string> {
  const { vault } = ports;
  const recipient = request.desired.install?.plan.recoveryRecipient;
  if (vault === null || !recipient)
    throw new BilletError('UNSUPPORTED', 'this machine cannot encrypt its disk', {
      hint: 'use a profile without encryption, or a machine with a TPM 2.0',
    });
  if (journal.record.recoveryKey !== null) return await vault.unlock(persist, signal);
  await vault.lock(persist, signal);
  const recoveryKey = await vault.seal(persist, recipient, signal);
  onProgress(0.5);
  const opened = await vault.unlock(persist, signal);
  await makeExt4(ports.exec, opened, signal);
  await journal.note({ recoveryKey });
  return opened;
}

async function makeExt4(
  exec: StepContext['ports']['exec'],
  device: string,
  signal: AbortSignal,
): Promise<void> {
  const shape = ['-b', '4096', '-O', 'verity', '-L', PARTITION.persist];
  await execOrThrow(
    exec,
    ['mke2fs', '-q', '-F', '-t', 'ext4', ...shape, device],
    signal,
    'look at the disk: dmesg | tail',
  );
}
