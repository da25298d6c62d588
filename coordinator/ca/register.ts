// The records of issued and revoked certificates, and the changes that make them, to be committed
// together with what caused them. Keeps nothing in memory and decides nothing about connections.

import { z } from 'zod';
import { RENEW_GRACE_MS } from '#shared/certificate.ts';
import { Digest } from '#shared/digest.ts';
import { InstanceId, Serial } from '#shared/schema/ids.ts';
import { ABSENT, type Change, type Collection, collection } from '../store/collection.ts';
import type { Migrations } from '../store/record.ts';
import type { Store } from '../store/store.ts';

/** An issued certificate, under `<instance>/<serial>`. Times in Unix milliseconds. */
const Certificate = z.strictObject({
  serial: Serial,
  instance: InstanceId,
  notBefore: z.int(),
  notAfter: z.int(),
  /** Fingerprint of the CA that issued it; null of one that version 1 recorded. */
  ca: Digest.nullable(),
  /** Whether a node was seen with it while a CA was rotated: then its reply was not lost. */
  seen: z.boolean(),
});
export type Certificate = z.infer<typeof Certificate>;

/** RFC 5280 §5.3.1, those that mean something here. */
export const RevocationReason = z.enum([
  'unspecified',
  'keyCompromise',
  'superseded',
  'cessationOfOperation',
]);
export type RevocationReason = z.infer<typeof RevocationReason>;

/** A revoked certificate, under its serial; kept until nothing can be renewed with it. */
const Revocation = Certificate.extend({
  at: z.int(),
  reason: RevocationReason,
  /** Who did it, as in events. */
  by: z.string().max(128),
});
export type Revocation = z.infer<typeof Revocation>;

/** Version 1 knew neither `ca` nor `seen`. */
const MIGRATIONS: Migrations = {
  1: (old) => ({ ...(old as object), ca: null, seen: false }),
};

const CertificateKey = z.string().regex(/^i-[0-9a-z]{16}\/[0-9a-f]{1,40}$/);
const PRUNE_AT_ONCE = 100;

export interface RevokeOrder {
  readonly reason: RevocationReason;
  readonly by: string;
  readonly now: number;
}

export interface Register {
  readonly revocations: Collection<Revocation>;
  /** Part of the commit that hands a certificate out. */
  issued(certificate: Omit<Certificate, 'seen'>): Change;
  /** The node uses this certificate. Idempotent; nothing happens when it is not known here. */
  seen(instance: InstanceId, serial: Serial): Promise<void>;
  /** Every certificate that is recorded, those of one instance together. */
  all(): AsyncIterable<Certificate>;
  /** Certificates of the instance that still stand or could still be renewed. */
  of(instance: InstanceId): Promise<Certificate[]>;
  /**
   * Part of a commit: revokes each of the instance's certificates but `except`. Empty when there is
   * nothing left to revoke; null from the commit means that another was quicker: ask again.
   */
  revokeInstance(instance: InstanceId, order: RevokeOrder & { except?: Serial }): Promise<Change[]>;
  /** Forgets what can no longer be renewed, revoked or not; returns how many records. */
  prune(now: number): Promise<number>;
}

export function certificateRegister(store: Store): Register {
  const certificates = collection<Certificate>(store, {
    prefix: 'certificates',
    schema: Certificate,
    id: CertificateKey,
    version: 2,
    migrations: MIGRATIONS,
  });
  const revocations = collection<Revocation>(store, {
    prefix: 'revocations',
    schema: Revocation,
    id: Serial,
    version: 2,
    migrations: MIGRATIONS,
  });
  const keyOf = ({ instance, serial }: Pick<Certificate, 'instance' | 'serial'>) =>
    `${instance}/${serial}`;

  async function of(instance: InstanceId): Promise<Certificate[]> {
    const found = await Array.fromAsync(certificates.all(`${instance}/`));
    return found.map(({ record }) => record);
  }

  return {
    revocations,
    of,
    issued: (certificate) =>
      certificates.put(keyOf(certificate), { ...certificate, seen: false }, ABSENT),

    async seen(instance, serial) {
      await certificates.update(keyOf({ instance, serial }), (known) =>
        known === null || known.seen ? null : { ...known, seen: true },
      );
    },

    async *all() {
      for await (const { record } of certificates.all()) yield record;
    },

    async revokeInstance(instance, { except, reason, by, now }) {
      const changes: Change[] = [];
      for (const certificate of await of(instance)) {
        const { serial } = certificate;
        if (serial === except || (await revocations.get(serial))) continue;
        changes.push(revocations.put(serial, { ...certificate, at: now, reason, by }, ABSENT));
      }
      return changes;
    },

    async prune(now) {
      const changes: Change[] = [];
      const gone = ({ notAfter }: Certificate) => notAfter + RENEW_GRACE_MS < now;
      for await (const { id, record, revision } of certificates.all())
        if (gone(record)) changes.push(certificates.drop(id, revision));
      for await (const { id, record, revision } of revocations.all())
        if (gone(record)) changes.push(revocations.drop(id, revision));
      for (let at = 0; at < changes.length; at += PRUNE_AT_ONCE) {
        // Without conditions: what can no longer be renewed does not change, and may already be gone.
        const writes = changes.slice(at, at + PRUNE_AT_ONCE).map((change) => change.write);
        await store.commit([], writes);
      }
      return changes.length;
    },
  };
}
