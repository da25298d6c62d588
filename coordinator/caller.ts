// From a connection and its headers to a proven caller: a node by its certificate, a person or
// program by a credential. Refuses who may not call the route; knows no handler.

import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { RENEW_GRACE_MS } from '#shared/certificate.ts';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Route } from '#shared/routes/route.ts';
import type { Role } from '#shared/schema/records.ts';
import { type CredentialRecord, findCredential } from './access/credentials.ts';
import type { FailureLimit } from './access/failure-limit.ts';
import type { Arrivals } from './ca/arrivals.ts';
import type { CertificateGate, Peer } from './ca/peer.ts';
import type { Comebacks } from './nodes/comebacks.ts';
import type { Records } from './records.ts';
import type { Caller } from './routes/handler.ts';

export interface CallerOptions {
  readonly gate: CertificateGate;
  readonly arrivals: Arrivals;
  readonly records: Records;
  readonly clock: Clock;
  readonly failures: FailureLimit;
  readonly comebacks: Comebacks;
}

export interface Callers {
  /** The caller of a route, who may call it. One of the 401 and 403 codes otherwise. */
  ofRoute(request: IncomingMessage, route: Pick<Route, 'caller' | 'path'>): Promise<Caller>;
  /** Judges the node of an open connection once more: throws a 401 code once its certificate is no good. */
  readmission(socket: Socket): () => void;
  /** Whoever it is, for the registry. UNAUTHENTICATED without certificate and credential. */
  ofAnyone(request: IncomingMessage): Promise<Caller>;
}

const RANK: Readonly<Record<Role, number>> = { viewer: 1, operator: 2, admin: 3 };
/** The one route that an expired certificate still opens. */
const RENEW_PATH = '/v1/node/renew';

export function callers(options: CallerOptions): Callers {
  const { gate, arrivals, records, clock, failures, comebacks } = options;

  function node(request: IncomingMessage, graceMs: number): Caller {
    const peer = peerOf(gate, request.socket);
    try {
      gate.admit(peer, clock.now(), { graceMs });
    } catch (error) {
      if (error instanceof BilletError && error.code === 'CERTIFICATE_REVOKED')
        void comebacks.note(peer.instance, error.message);
      throw error;
    }
    arrivals.note(peer);
    return { role: 'node', id: peer.instance, serial: peer.serial };
  }

  async function credential(request: IncomingMessage): Promise<Caller | null> {
    const secret = secretOf(request.headers.authorization);
    if (secret === null) return null;
    const address = request.socket.remoteAddress ?? '';
    const found = await failures.guard(address, () => provenCredential(records, secret));
    return { role: found.role, name: found.name };
  }

  return {
    async ofRoute(request, route) {
      if (route.caller === 'anyone') return { role: 'anyone' };
      if (route.caller === 'node')
        return node(request, route.path === RENEW_PATH ? RENEW_GRACE_MS : 0);
      const caller = await credential(request);
      if (caller === null) throw peerShown(request.socket) ? notForNodes() : unauthenticated();
      if (caller.role === 'anyone' || caller.role === 'node') throw notForNodes();
      if (RANK[caller.role] >= RANK[route.caller]) return caller;
      throw new BilletError('FORBIDDEN', `${caller.name} is ${caller.role}, not ${route.caller}`, {
        hint: `ask an admin for a credential with the role ${route.caller}`,
        details: { role: caller.role, needed: route.caller },
      });
    },

    readmission(socket) {
      const peer = peerOf(gate, socket);
      return () => gate.admit(peer, clock.now());
    },

    async ofAnyone(request) {
      const caller = await credential(request);
      if (caller) return caller;
      if (!peerShown(request.socket)) throw unauthenticated();
      return node(request, 0);
    },
  };
}

async function provenCredential(records: Records, secret: string): Promise<CredentialRecord> {
  const found = await findCredential(records.credentials, secret);
  if (found) return found;
  throw new BilletError('UNAUTHENTICATED', 'the credential is not known here', {
    hint: 'check which coordinator it is for; `billet credential create` makes another',
  });
}

/** RFC 6750 §2.1 and RFC 7617: of a password login only the password counts. */
function secretOf(header: string | undefined): string | null {
  if (header === undefined) return null;
  const [, scheme = '', value = ''] = /^(\S+) +(\S+)$/.exec(header) ?? [];
  if (scheme.toLowerCase() === 'bearer') return value;
  if (scheme.toLowerCase() !== 'basic') return '';
  const login = Buffer.from(value, 'base64').toString('utf8');
  return login.slice(login.indexOf(':') + 1);
}

const certificateOf = (socket: Socket): X509Certificate | undefined =>
  socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;

const peerShown = (socket: Socket) => certificateOf(socket) !== undefined;

/** What a certificate says never changes, so it is read once a connection. */
const identified = new WeakMap<Socket, Peer>();

/** CERTIFICATE_REQUIRED, CERTIFICATE_INVALID. A resumed session shows its certificate too. */
export function peerOf(gate: CertificateGate, socket: Socket): Peer {
  const known = identified.get(socket);
  if (known) return known;
  const peer = gate.identify(certificateOf(socket));
  identified.set(socket, peer);
  return peer;
}

const unauthenticated = () =>
  new BilletError('UNAUTHENTICATED', 'no credential was given', {
    hint: 'send Authorization: Bearer CREDENTIAL; `billet` reads it from its context file',
  });

const notForNodes = () =>
  new BilletError('FORBIDDEN', 'a node certificate does not open this route', {
    hint: 'nodes use /v1/node/…; send Authorization: Bearer CREDENTIAL for this one',
  });
