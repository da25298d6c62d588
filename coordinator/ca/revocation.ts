// Which certificates are revoked, in memory and fresh, whichever coordinator revoked them; and the
// CRL (RFC 5280 §5) made of it for others to check by. Revoking itself is a change of register.ts.

import 'reflect-metadata';
import { EventEmitter } from 'node:events';
import { Extension, X509CrlReason } from '@peculiar/x509';
import { z } from 'zod';
import { CLOCK_SKEW_MS } from '#shared/certificate.ts';
import type { Clock } from '#shared/clock.ts';
import { pem } from '#shared/pem.ts';
import type { Serial } from '#shared/schema/ids.ts';
import { collection } from '../store/collection.ts';
import { mirror } from '../store/mirror.ts';
import type { Store } from '../store/store.ts';
import type { Authorities } from './authorities.ts';
import type { Register, Revocation } from './register.ts';

export interface Revocations {
  isRevoked(serial: Serial): boolean;
  /** Resolves once the revocations of the commit at `revision` count here. */
  reached(revision: number): Promise<void>;
  /** Called for each new revocation, so that open connections are closed. Returns the way out. */
  onRevoked(listener: (revocation: Revocation) => void): () => void;
  /**
   * PEM, label X509 CRL, one for each CA that is trusted. Made again when something was revoked, a CA
   * came or went, and at a quarter of its life.
   */
  crl(): Promise<string>;
  /** Rejects when the watch broke for good: then stop serving. */
  readonly done: Promise<void>;
}

const CRL_LIFETIME_MS = 24 * 60 * 60_000;
const CrlState = z.strictObject({ number: z.int().positive() });
const ONE = z.literal('state');

export async function revocations(options: {
  store: Store;
  register: Register;
  authority: Authorities;
  clock: Clock;
  signal: AbortSignal;
}): Promise<Revocations> {
  const { store, register, authority, clock, signal } = options;
  const news = new EventEmitter().setMaxListeners(0);
  let changes = 0;
  let cached: { text: string; of: string; at: number } | null = null;
  const revoked = await mirror(register.revocations, {
    signal,
    onChange(_serial, revocation) {
      changes += 1;
      if (revocation) news.emit('revoked', revocation);
    },
  });
  const numbers = collection(store, { prefix: 'crl', schema: CrlState, id: ONE, version: 1 });

  async function make(now: number): Promise<string> {
    const state = await numbers.update('state', (last) => ({ number: (last?.number ?? 0) + 1 }));
    const entries = [...revoked.values()]
      .filter(({ notAfter }) => notAfter > now)
      .map(({ serial, at, reason }) => ({
        serialNumber: serial,
        revocationDate: new Date(at),
        reason: X509CrlReason[reason],
      }));
    // Serials are random: naming one in the list of a CA that never gave it does no harm.
    const lists = authority.trusted.map((each) =>
      each.signCrl({
        thisUpdate: now - CLOCK_SKEW_MS,
        nextUpdate: now + CRL_LIFETIME_MS,
        entries,
        extensions: [crlNumber(state?.record.number ?? 1)],
      }),
    );
    return (await Promise.all(lists)).map((der) => pem('X509 CRL', der)).join('');
  }

  return {
    isRevoked: (serial) => revoked.get(serial) !== undefined,
    reached: revoked.reached,
    done: revoked.done,

    onRevoked(listener) {
      news.on('revoked', listener);
      return () => news.off('revoked', listener);
    },

    async crl() {
      const now = clock.now();
      const of = `${changes} ${authority.trusted.map(({ fingerprint }) => fingerprint)}`;
      // One made by a clock that was ahead is not valid yet.
      const fresh = ({ at }: { readonly at: number }) =>
        now < at + CRL_LIFETIME_MS / 4 && now > at - CLOCK_SKEW_MS;
      if (cached?.of === of && fresh(cached)) return cached.text;
      const text = await make(now);
      cached = { text, of, at: now };
      return text;
    },
  };
}

/** id-ce-cRLNumber, a DER INTEGER (RFC 5280 §5.2.3). */
function crlNumber(number: number): Extension {
  let hex = number.toString(16);
  if (hex.length % 2 === 1) hex = `0${hex}`;
  if (/^[89a-f]/.test(hex)) hex = `00${hex}`;
  const value = Buffer.from(hex, 'hex');
  return new Extension('2.5.29.20', false, Buffer.concat([Buffer.from([2, value.length]), value]));
}
