// The CA and the certificates of nodes: shown to everyone, revoked by operators, rotated by admins.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId, Serial } from '#shared/schema/ids.ts';
import type { CaState } from '#shared/schema/records.ts';
import type { RevocationReason } from '../ca/register.ts';
import type { Deps } from '../deps.ts';
import { isoTime } from '../ids.ts';
import type { InstanceRecord } from '../nodes/records.ts';
import type { Handlers } from '../router.ts';
import { ABSENT } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { actorOf } from './handler.ts';

type CaHandlers = Pick<
  Handlers,
  'getCa' | 'getCrl' | 'getCaState' | 'rotateCa' | 'retireCa' | 'revokeCertificate'
>;

export const caHandlers: CaHandlers = {
  getCa: async (_, { authority }) => ({ body: authority.bundlePem }),
  getCrl: async (_, { revocations }) => ({ body: await revocations.crl() }),
  getCaState: async (_, deps) => ({ body: await stateOf(deps) }),

  async rotateCa({ caller }, deps) {
    await deps.rotation.rotate(actorOf(caller));
    return { body: await stateOf(deps) };
  },

  async retireCa({ caller, body }, deps) {
    await deps.rotation.retire(actorOf(caller), body.force);
    return { body: await stateOf(deps) };
  },

  async revokeCertificate({ caller, params, body }, deps) {
    const actor = actorOf(caller);
    return { body: await revokeCertificate(deps, actor, params.serial, body.reason) };
  },
};

const SHOWN_MAX = 100;

async function stateOf({ authority, rotation, live }: Deps): Promise<CaState> {
  const waiting = await rotation.waiting();
  const shown = async ({ id, node }: InstanceRecord) => {
    const { lastSeenAt } = await live.presence(id);
    return { instance: id, node, lastSeenAt: lastSeenAt === null ? null : isoTime(lastSeenAt) };
  };
  return {
    authorities: authority.trusted.map(({ fingerprint, certificate, certificatePem }, at) => ({
      fingerprint,
      pem: certificatePem,
      state: at === 0 ? 'issuing' : 'previous',
      subject: certificate.subject.replaceAll('\n', ', '),
      notBefore: certificate.validFromDate.toISOString(),
      notAfter: certificate.validToDate.toISOString(),
    })),
    since: isoTime(await rotation.since()),
    waitingCount: waiting.length,
    waiting: await Promise.all(waiting.slice(0, SHOWN_MAX).map(shown)),
  };
}

/** Idempotent. NOT_FOUND for a serial that no live certificate bears. */
async function revokeCertificate(deps: Deps, by: string, serial: Serial, why: string) {
  const { records, register, revocations, clock } = deps;
  const certificate = await findCertificate(deps, serial);
  if (!certificate)
    throw new BilletError('NOT_FOUND', `no certificate ${serial}`, {
      hint: '`billet instance show ID` has the serial of its certificate',
    });
  const { instance } = certificate;
  const reason: RevocationReason = 'unspecified';
  const revision = await transact(records.store, `certificate ${serial}`, async () => {
    if (await register.revocations.get(serial)) return null;
    const found = await records.instances.get(instance);
    const shown = found?.record.certificate?.serial === serial ? found : null;
    const revocation = { ...certificate, at: clock.now(), reason, by };
    return {
      changes: [
        register.revocations.put(serial, revocation, ABSENT),
        ...(shown
          ? [
              records.instances.put(
                instance,
                { ...shown.record, certificate: null },
                shown.revision,
              ),
            ]
          : []),
        records.events.tell({
          actor: by,
          kind: 'certificate.revoked',
          subject: `instance/${instance}`,
          text: why === '' ? `certificate ${serial} was revoked` : `revoked: ${why}`,
          details: { serial },
        }),
      ],
      result: (at: number) => at,
    };
  });
  if (revision !== null) await revocations.reached(revision);
  return { serial, instance };
}

/** The newest certificate of an instance is found by its record; an older one by looking at all. */
async function findCertificate({ records, register }: Deps, serial: Serial) {
  const rest: InstanceId[] = [];
  const of = async (instance: InstanceId) =>
    (await register.of(instance)).find((one) => one.serial === serial) ?? null;
  for await (const { record } of records.instances.all()) {
    if (record.certificate?.serial === serial) return await of(record.id);
    rest.push(record.id);
  }
  for (const instance of rest) {
    const found = await of(instance);
    if (found) return found;
  }
  return null;
}
