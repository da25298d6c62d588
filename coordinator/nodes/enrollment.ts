// Trades a bootstrap token for a certificate, and a certificate for the next one: each in one commit
// of token, certificate, instance and event. Policy of requests and issuing are the CA's.

import { RENEW_GRACE_MS } from '#shared/certificate.ts';
import { sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { InstanceId, Serial } from '#shared/schema/ids.ts';
import { instanceUri, type TrustDomain } from '#shared/spiffe.ts';
import type { Authority, Issued } from '../ca/authority.ts';
import { acceptCsr } from '../ca/csr.ts';
import { issueNodeCertificate } from '../ca/issuer.ts';
import type { Register } from '../ca/register.ts';
import type { Revocations } from '../ca/revocation.ts';
import { nodeActor } from '../events/records.ts';
import { tokenIdOf } from '../ids.ts';
import type { Records } from '../records.ts';
import { transact } from '../store/transact.ts';
import { after, isLive, mayEnroll } from './lifecycle.ts';
import { enter, type InstanceRecord } from './records.ts';
import { revokeTokenChanges } from './token-writes.ts';
import { judgeToken } from './tokens.ts';

export interface EnrollmentDeps {
  readonly records: Records;
  readonly authority: Authority;
  readonly register: Register;
  readonly revocations: Revocations;
  readonly trustDomain: TrustDomain;
}

export interface Certified {
  readonly certificate: string;
  readonly notAfter: number;
}

/** The commit, if it revoked something: that has to count before the reply goes out. */
type Enrolled = Certified & { readonly revision: number | null };

/**
 * The certificate for a token's first use, or the same one again for the same key. A first use
 * revokes every older certificate of the instance: whoever holds the token is the machine now.
 * TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_USED, CSR_REFUSED, CERTIFICATE_REVOKED, CONFLICT.
 */
export async function enroll(
  deps: EnrollmentDeps,
  request: {
    readonly instance: InstanceId;
    readonly token: string;
    readonly csr: string;
    readonly facts: Facts;
  },
): Promise<Certified> {
  const { records, trustDomain } = deps;
  const { instance, token: secret, csr, facts } = request;
  const id = tokenIdOf(secret);
  // Before any cryptography: what has no token costs one read.
  if (!(await records.tokens.get(id))) throw noToken(instance);
  const uri = instanceUri({ trustDomain, instance });
  const publicKey = await acceptCsr(csr, { instance, uri });
  const key = sha256(new Uint8Array(publicKey.rawData));

  const enrolled = await transact<Enrolled>(records.store, `token ${id}`, async () => {
    const [token, found] = await Promise.all([
      records.tokens.get(id),
      records.instances.get(instance),
    ]);
    const now = records.clock.now();
    const before = judgeToken(token?.record ?? null, { secret, instance, key }, now);
    if (!token || !found) throw noToken(instance);
    if (before !== null) return null;
    assertState(found.record, mayEnroll);
    const issued = await issueNodeCertificate(deps.authority, {
      csr,
      id: { trustDomain, instance },
      now,
    });
    const { serial, notBefore, notAfter, ca, pem: certificate } = issued;
    const used = { key, at: now, serial, notAfter, certificate };
    const superseded = { reason: 'superseded', by: nodeActor(instance), now } as const;
    const revoked = await deps.register.revokeInstance(instance, superseded);
    const bootToken = found.record.boot.token;
    return {
      changes: [
        records.tokens.put(id, { ...token.record, used }, token.revision),
        deps.register.issued({ serial, instance, notBefore, notAfter, ca }),
        ...revoked,
        ...(bootToken === null || bootToken === id
          ? []
          : await revokeTokenChanges(records, bootToken)),
        records.instances.put(
          instance,
          afterwards(found.record, issued, facts, now),
          found.revision,
        ),
        records.events.tell({
          actor: nodeActor(instance),
          kind: 'instance.enrolled',
          subject: `instance/${instance}`,
          text: `${found.record.node} enrolled with token ${id}`,
          details: { token: id, serial },
        }),
      ],
      result: (at) => ({ certificate, notAfter, revision: revoked.length > 0 ? at : null }),
    };
  });
  if (enrolled === null) return await same(deps, secret, instance);
  if (enrolled.revision !== null) await deps.revocations.reached(enrolled.revision);
  return enrolled;
}

/** What the token gave before: a reply may have been lost. Not once that was revoked. */
async function same(
  { records, revocations }: EnrollmentDeps,
  secret: string,
  instance: InstanceId,
): Promise<Certified> {
  const used = (await records.tokens.get(tokenIdOf(secret)))?.record.used;
  if (!used) throw noToken(instance);
  if (revocations.isRevoked(used.serial))
    throw new BilletError('CERTIFICATE_REVOKED', `certificate ${used.serial} was revoked`, {
      hint: `billet instance boot ${instance}, or billet token create ${instance}`,
      details: { serial: used.serial },
    });
  return used;
}

const afterwards = (
  record: InstanceRecord,
  { serial, notAfter }: Issued,
  facts: Facts,
  now: number,
): InstanceRecord => ({
  ...enter(record, after(record.state, 'contact'), now),
  facts,
  certificate: { serial, notAfter },
  boot: { ordered: false, token: null },
});

/** More than these at once is no node that lost a reply. */
const STANDING_MAX = 32;

/**
 * The next certificate. The one before stays valid until its own end, so that a lost reply strands
 * nobody; what has to end at once is revoked. CSR_REFUSED, TOO_MANY_REQUESTS, CONFLICT.
 */
export async function renew(
  deps: EnrollmentDeps,
  request: {
    readonly instance: InstanceId;
    readonly serial: Serial;
    readonly csr: string;
    readonly facts?: Facts | undefined;
  },
): Promise<Certified> {
  const { records, register, trustDomain } = deps;
  const { instance, csr } = request;
  if ((await register.of(instance)).length >= STANDING_MAX)
    throw new BilletError('TOO_MANY_REQUESTS', `${instance} has ${STANDING_MAX} certificates`, {
      hint: 'look at why it renews so often; a fresh token revokes the old ones',
      details: { retryAfterSeconds: 3600 },
    });
  const renewed = await transact<Certified>(records.store, `instance ${instance}`, async () => {
    const found = await records.instances.get(instance);
    if (!found) return null;
    assertState(found.record, isLive);
    const now = records.clock.now();
    const issued = await issueNodeCertificate(deps.authority, {
      csr,
      id: { trustDomain, instance },
      now,
    });
    const { serial, notBefore, notAfter, ca, pem: certificate } = issued;
    const facts = request.facts ?? found.record.facts;
    const next = { ...found.record, facts, certificate: { serial, notAfter } };
    const revocation = deps.register.revocations.key(request.serial);
    return {
      changes: [
        deps.register.issued({ serial, instance, notBefore, notAfter, ca }),
        records.instances.put(instance, next, found.revision),
        records.events.tell({
          actor: nodeActor(instance),
          kind: 'instance.renewed',
          subject: `instance/${instance}`,
          text: `${found.record.node} renewed its certificate`,
          details: { serial, before: request.serial },
        }),
      ],
      // A certificate revoked at this moment renews nothing.
      conditions: [{ key: revocation, revision: 0 }],
      result: () => ({ certificate, notAfter }),
    };
  });
  if (renewed) return renewed;
  throw new BilletError('CERTIFICATE_INVALID', `no instance ${instance}`, {
    hint: 'the machine belongs to no node any more: create one, or switch it off',
  });
}

/** Whether a network boot without a token has a chance: some certificate could still be renewed. */
export async function mayComeBack(deps: EnrollmentDeps, record: InstanceRecord): Promise<boolean> {
  if (record.facts?.keySurvives === false) return false;
  const now = deps.records.clock.now();
  return (await deps.register.of(record.id)).some(
    ({ serial, notAfter }) =>
      !deps.revocations.isRevoked(serial) && notAfter + RENEW_GRACE_MS > now,
  );
}

function assertState(record: InstanceRecord, may: (state: InstanceRecord['state']) => boolean) {
  if (!may(record.state))
    throw new BilletError('CONFLICT', `${record.id} is ${record.state}`, {
      hint: `billet instance create ${record.node}, after terminating this one`,
      details: { state: record.state },
    });
}

const noToken = (instance: InstanceId) =>
  new BilletError('TOKEN_INVALID', `no such token for ${instance}`, {
    hint: `billet token create ${instance}, or \`billet instance boot ${instance}\` for a network boot`,
  });
