// Wires what concerns certificates: authorities, register, revocations, the gate for those that nodes
// show, the one that this server shows, and the rotation of the CA.

import type { Clock } from '#shared/clock.ts';
import type { TrustDomain } from '#shared/spiffe.ts';
import type { Log } from '../log.ts';
import type { Records } from '../records.ts';
import { arrivals } from './arrivals.ts';
import { openAuthorities } from './authorities.ts';
import { certificateGate } from './peer.ts';
import { certificateRegister } from './register.ts';
import { revocations as openRevocations } from './revocation.ts';
import { openRotation } from './rotation.ts';
import { serverIdentity } from './server-identity.ts';

export interface CaOptions {
  readonly directory: string;
  readonly trustDomain: TrustDomain;
  /** DNS names and addresses of the server's certificate. */
  readonly names: readonly string[];
  readonly records: Records;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the watch of revocations. */
  readonly signal: AbortSignal;
}

const SOON_MS = 365 * 24 * 3_600_000;

/** CA_INVALID. The store has to be open, and locked: two processes must not settle one directory. */
export async function openCa(options: CaOptions) {
  const { directory, trustDomain, names, records, clock, log, signal } = options;
  const { store } = records;
  const authority = await openAuthorities({ directory, trustDomain, clock });
  const register = certificateRegister(store);
  const revocations = await openRevocations({ store, register, authority, clock, signal });
  const { isRevoked } = revocations;
  const identity = await serverIdentity({ authority, names, clock });
  const listeners = new Set<() => Promise<void> | void>();
  const changed = async () => {
    for (const listener of listeners) await listener();
  };
  const rotation = await openRotation({
    authority,
    records,
    register,
    revocations,
    clock,
    async onChange() {
      await identity.refresh('ca changed');
      await changed();
    },
  });
  const { validTo, validToDate } = authority.certificate;
  if (validToDate.getTime() - clock.now() < SOON_MS)
    log.warn(`the CA runs out at ${validTo}: billet ca rotate`, { ca: authority.fingerprint });
  return {
    authority,
    register,
    revocations,
    rotation,
    identity,
    gate: certificateGate({ authorities: authority, trustDomain, isRevoked }),
    arrivals: arrivals({ authority, register, log }),
    /** Called whenever the server's certificate or the CAs are others. */
    onChange: (listener: () => Promise<void> | void) => listeners.add(listener),
    /** Often, for it costs nothing unless it is time. */
    async keepFresh() {
      if (await identity.refresh()) await changed();
    },
  };
}
