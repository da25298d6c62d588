// The node's certificate and the CA behind it, as files beside its key. Says nothing of who asked.

import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { Identity } from '#shared/schema/identity.ts';
import { writeFileAtomic } from '../drivers/files.ts';
import type { NodeKey } from './key.ts';
import { textOrNull } from './source-file.ts';

/** `enrollment.json`: what a later boot needs so that the surviving key will do. No token. */
export const Credentials = z.object({
  format: z.literal(1),
  identity: Identity.omit({ token: true }).strip(),
  /** PEM of the node's certificate. */
  certificate: z.string().min(1),
  /** PEM of the CA certificates to trust. */
  ca: z.string().min(1),
  /** History id of the coordinator's store. */
  history: z.string(),
});
export type Credentials = z.infer<typeof Credentials>;

const FILE = 'enrollment.json';

export const credentialsPath = (dir: string): string => join(dir, FILE);

/** Null when there are none, or none for `key`: enrolling again is then the way. */
export async function loadCredentials(dir: string, key: NodeKey): Promise<Credentials | null> {
  const text = await textOrNull(credentialsPath(dir));
  if (text === null) return null;
  const credentials = parse(text, credentialsPath(dir));
  const certificate = new X509Certificate(credentials.certificate);
  return certificate.checkPrivateKey(key.privateKey) ? credentials : null;
}

export async function saveCredentials(dir: string, credentials: Credentials): Promise<void> {
  const text = `${JSON.stringify(credentials, null, 2)}\n`;
  await writeFileAtomic(credentialsPath(dir), text, { mode: 0o600 });
}

function parse(text: string, path: string): Credentials {
  try {
    return Credentials.parse(JSON.parse(text));
  } catch (cause) {
    throw new BilletError('CONFIG_INVALID', `${path} was not written by this agent`, {
      hint: `remove ${path} and give the machine a new token: billet token create`,
      cause,
    });
  }
}
