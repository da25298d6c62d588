// The rotation of the CA as operators see it: begun, waited for, ended. The steps on disk are of
// authorities.ts; here is what the store records of them, and what else has to change with them.

import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { COORDINATOR } from '../events/records.ts';
import { isLive } from '../nodes/lifecycle.ts';
import type { InstanceRecord } from '../nodes/records.ts';
import type { Records } from '../records.ts';
import { collection } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import type { Authorities } from './authorities.ts';
import { dependents } from './dependents.ts';
import type { Register } from './register.ts';
import type { Revocations } from './revocation.ts';

export interface Rotation {
  /** When the CA that issues began to, as far as this store knows. */
  since(): Promise<number>;
  /** Live instances that depend on the previous CA; none without one. */
  waiting(): Promise<readonly InstanceRecord[]>;
  /** CONFLICT while the last rotation has not ended. */
  rotate(actor: string): Promise<void>;
  /**
   * Idempotent. CONFLICT, naming them, while instances depend on it; with `force` their certificates
   * are revoked, and each needs a token.
   */
  retire(actor: string, force: boolean): Promise<void>;
}

export interface RotationOptions {
  readonly authority: Authorities;
  readonly records: Records;
  readonly register: Register;
  readonly revocations: Pick<Revocations, 'isRevoked' | 'reached'>;
  readonly clock: Clock;
  /** Whatever was made of the CAs has to be made anew: certificates of servers, contexts. */
  readonly onChange: () => Promise<void>;
}

/** The last that was recorded. The disk is what counts; this follows it, with an event. */
const CaRecord = z.strictObject({
  issuing: Digest,
  previous: Digest.nullable(),
  since: z.int().nonnegative(),
});
const ONE = z.literal('state');
const NAMED_MAX = 100;

/** Resolves when the store says what the disk says: a crash may have come between the two. */
export async function openRotation(options: RotationOptions): Promise<Rotation> {
  const { authority, records, register, revocations, clock, onChange } = options;
  const { store, events, instances } = records;
  const state = collection(store, { prefix: 'ca', schema: CaRecord, id: ONE, version: 1 });

  async function record(actor: string): Promise<void> {
    const issuing = authority.fingerprint;
    const previous = authority.previous?.fingerprint ?? null;
    await transact(store, 'the CA', async () => {
      const known = await state.get('state');
      const last = known?.record;
      if (last?.issuing === issuing && last.previous === previous) return null;
      const since = last?.issuing === issuing ? last.since : clock.now();
      const kind = last?.issuing !== issuing ? (last ? 'ca.rotated' : 'ca.created') : 'ca.retired';
      const text = {
        'ca.created': `${issuing} issues`,
        'ca.rotated': `${issuing} issues; ${previous ?? 'none other'} is trusted still`,
        'ca.retired': `${last?.previous} is trusted no more`,
      }[kind];
      return {
        changes: [
          state.put('state', { issuing, previous, since }, known?.revision ?? 0),
          events.tell({ actor, kind, subject: 'ca/state', text, details: { issuing, previous } }),
        ],
        result: () => true,
      };
    });
  }

  async function waiting(): Promise<InstanceRecord[]> {
    if (authority.previous === null) return [];
    const isRevoked = ({ serial }: { serial: Parameters<typeof revocations.isRevoked>[0] }) =>
      revocations.isRevoked(serial);
    const wanted = { register, isRevoked, issuing: authority.fingerprint, now: clock.now() };
    const found: InstanceRecord[] = [];
    for await (const id of dependents(wanted)) {
      const instance = (await instances.get(id))?.record;
      if (instance && isLive(instance.state)) found.push(instance);
    }
    return found;
  }

  /** So that nothing lets the machine try by its key what can no longer work. */
  async function cutOff(actor: string, id: InstanceId): Promise<void> {
    const revision = await transact(store, `instance ${id}`, async () => {
      const found = await instances.get(id);
      const order = { reason: 'superseded', by: actor, now: clock.now() } as const;
      const revoked = await register.revokeInstance(id, order);
      if (!found || revoked.length === 0) return null;
      const text = 'its CA was retired before it was back: it needs a token';
      const subject = `instance/${id}`;
      return {
        changes: [
          ...revoked,
          instances.put(id, { ...found.record, certificate: null }, found.revision),
          events.tell({ actor, kind: 'certificate.revoked', subject, text }),
        ],
        result: (at) => at,
      };
    });
    if (revision !== null) await revocations.reached(revision);
  }

  await record(COORDINATOR);

  return {
    since: async () => (await state.get('state'))?.record.since ?? 0,
    waiting,

    async rotate(actor) {
      await authority.rotate();
      await record(actor);
      await onChange();
    },

    async retire(actor, force) {
      const left = await waiting();
      if (left.length > 0 && !force) throw stillNeeded(left);
      for (const { id } of left) await cutOff(actor, id);
      await authority.retire();
      await record(actor);
      await onChange();
    },
  };
}

function stillNeeded(left: readonly InstanceRecord[]): BilletError {
  const names = left.slice(0, NAMED_MAX).map(({ node }) => node);
  const more = left.length > NAMED_MAX ? ` and ${left.length - NAMED_MAX} more` : '';
  return new BilletError(
    'CONFLICT',
    `${left.length} instance${left.length === 1 ? '' : 's'} still depend${left.length === 1 ? 's' : ''} on the CA that is to be retired: ${names.join(', ')}${more}`,
    {
      hint: 'switch them on until `billet ca show` lists none; or billet ca retire --force, and give each a token',
      details: { waiting: left.slice(0, NAMED_MAX).map(({ id }) => id), count: left.length },
    },
  );
}
