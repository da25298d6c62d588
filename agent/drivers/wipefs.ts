// wipefs(8): what a device says that it holds, and making it say so no more.

import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { type Exec, execOrThrow } from './exec.ts';

const Found = z.object({
  signatures: z.array(
    z.object({
      offset: z.string(),
      type: z.string(),
      uuid: z.string().nullish(),
      label: z.string().nullish(),
    }),
  ),
});
export type FoundSignature = z.infer<typeof Found>['signatures'][number];

const HINT = 'look at the disk: dmesg | tail';

/** In order of place. Throws COMMAND_FAILED. */
export async function listSignatures(
  exec: Exec,
  device: string,
  signal: AbortSignal,
): Promise<readonly FoundSignature[]> {
  const said = await execOrThrow(exec, ['wipefs', '--json', device], signal, HINT);
  // It says nothing at all of an empty device.
  if (said.trim() === '') return [];
  const parsed = Found.safeParse(JSON.parse(said));
  if (parsed.success) return parsed.data.signatures;
  throw new BilletError('COMMAND_FAILED', `wipefs says of ${device}: ${said.slice(0, 500)}`, {
    hint: HINT,
    cause: parsed.error,
  });
}

/** Erases the signatures of a device, and lets the kernel forget its partitions. COMMAND_FAILED. */
export async function eraseSignatures(
  exec: Exec,
  device: string,
  signal: AbortSignal,
): Promise<void> {
  await execOrThrow(exec, ['wipefs', '--all', '--force', device], signal, HINT);
}
