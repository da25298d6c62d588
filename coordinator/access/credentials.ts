// Credentials of people and programs: `billet_<name>_<43 characters of base64url>`, stored hashed.

import { z } from 'zod';
import { CredentialName } from '#shared/schema/ids.ts';
import { type Credential, Role } from '#shared/schema/records.ts';
import { hashSecret, isoTime, newSecret, secretMatches } from '../ids.ts';
import { type Collection, collection } from '../store/collection.ts';
import type { Store } from '../store/store.ts';

export const CredentialRecord = z.strictObject({
  name: CredentialName,
  role: Role,
  /** SHA-256 of the whole secret, hex. */
  hash: z.string().length(64),
  createdAt: z.int().nonnegative(),
  createdBy: z.string().max(128),
});
export type CredentialRecord = z.infer<typeof CredentialRecord>;

export const credentialRecords = (store: Store) =>
  collection(store, {
    prefix: 'credentials',
    schema: CredentialRecord,
    id: CredentialName,
    version: 1,
  });

const SECRET = /^billet_([a-z][a-z0-9-]{0,62})_[A-Za-z0-9_-]{43}$/;

/** A new credential and its secret, which is in no other place. */
export function newCredential(wanted: {
  readonly name: CredentialName;
  readonly role: Role;
  readonly createdAt: number;
  readonly createdBy: string;
}): { readonly record: CredentialRecord; readonly secret: string } {
  const secret = `billet_${wanted.name}_${newSecret()}`;
  return { record: { ...wanted, hash: hashSecret(secret) }, secret };
}

/** The credential that `secret` belongs to, or null. The hashes are compared in constant time. */
export async function findCredential(
  credentials: Collection<CredentialRecord>,
  secret: string,
): Promise<CredentialRecord | null> {
  const name = SECRET.exec(secret)?.[1];
  const found = name === undefined ? null : await credentials.get(name);
  return found && secretMatches(secret, found.record.hash) ? found.record : null;
}

export const credentialView = ({
  name,
  role,
  createdAt,
  createdBy,
}: CredentialRecord): Credential => ({
  name,
  role,
  createdAt: isoTime(createdAt),
  createdBy,
});
