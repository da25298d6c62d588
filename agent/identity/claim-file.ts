// What a machine that asks to be claimed has to remember: the secret that only it has, and its code.
// On disk before the first request, so that a restart goes on with the same claim.

import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Digest } from '#shared/digest.ts';
import { jsonOf } from '#shared/json.ts';
import { ClaimCode } from '#shared/schema/claim.ts';
import { BootstrapToken } from '#shared/schema/identity.ts';
import { writeFileAtomic } from '../drivers/files.ts';
import { textOrNull } from './source-file.ts';

export const ClaimFile = z.object({
  format: z.literal(1),
  /** Of which coordinator: its CA. */
  ca: Digest,
  secret: BootstrapToken,
  /** Null until the coordinator has answered. */
  code: ClaimCode.nullable(),
});
export type ClaimFile = z.infer<typeof ClaimFile>;

const pathIn = (dir: string): string => join(dir, 'claim.json');

/** Null when there is none for this coordinator, or none that can be read: a new one is as good. */
export async function loadClaim(dir: string, ca: Digest): Promise<ClaimFile | null> {
  const text = await textOrNull(pathIn(dir));
  const claim = text === null ? null : (ClaimFile.safeParse(jsonOf(text)).data ?? null);
  return claim?.ca === ca ? claim : null;
}

/** A secret of its own, durable when this returns. */
export async function newClaim(dir: string, ca: Digest): Promise<ClaimFile> {
  const secret = randomBytes(32).toString('base64url');
  return await saveClaim(dir, { format: 1, ca, secret, code: null });
}

export async function saveClaim(dir: string, claim: ClaimFile): Promise<ClaimFile> {
  await writeFileAtomic(pathIn(dir), `${JSON.stringify(claim)}\n`, { mode: 0o600 });
  return claim;
}

export async function dropClaim(dir: string): Promise<void> {
  await rm(pathIn(dir), { force: true });
}
