// Operator side: tokens, certificates, credentials; and the CA for everyone.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId, Serial } from '#shared/schema/ids.ts';
import { credentialView, newCredential } from '../access/credentials.ts';
import type { RevocationReason } from '../ca/register.ts';
import type { Deps } from '../deps.ts';
import { createToken, revokeToken } from '../nodes/token-writes.ts';
import { tokenView } from '../nodes/tokens.ts';
import type { Handlers } from '../router.ts';
import { ABSENT, commitAll } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { actorOf } from './handler.ts';
import { listPage } from './page.ts';

type AccessHandlers = Pick<
  Handlers,
  | 'createToken'
  | 'listTokens'
  | 'revokeToken'
  | 'revokeCertificate'
  | 'createCredential'
  | 'listCredentials'
  | 'deleteCredential'
  | 'getCa'
  | 'getCrl'
>;

export const accessHandlers: AccessHandlers = {
  async createToken({ caller, body }, deps) {
    const { instance, ttlSeconds } = body;
    const wanted = { instance, ttlMs: ttlSeconds * 1000 };
    const { record, secret } = await createToken(deps.records, actorOf(caller), wanted);
    const token = tokenView(record, deps.clock.now());
    return {
      body: { token, secret, coordinator: deps.url(), ca: deps.authority.fingerprint },
    };
  },

  listTokens: async ({ query }, { records, clock }) => ({
    body: await listPage(
      records.tokens,
      query,
      ({ record }) => tokenView(record, clock.now()),
      (record) => (query.instance ?? record.instance) === record.instance,
    ),
  }),

  async revokeToken({ caller, params }, { records, clock }) {
    const record = await revokeToken(records, actorOf(caller), params.id);
    return { body: tokenView(record, clock.now()) };
  },

  async revokeCertificate({ caller, params, body }, deps) {
    const actor = actorOf(caller);
    return { body: await revokeCertificate(deps, actor, params.serial, body.reason) };
  },

  async createCredential({ caller, body }, { records, clock }) {
    const actor = actorOf(caller);
    const wanted = { ...body, createdAt: clock.now(), createdBy: actor };
    const { record, secret } = newCredential(wanted);
    const done = await commitAll(records.store, [
      records.credentials.put(record.name, record, ABSENT),
      records.events.tell({
        actor,
        kind: 'credential.created',
        subject: `credential/${record.name}`,
        text: `${record.name} is ${record.role}`,
      }),
    ]);
    if (!done)
      throw new BilletError('CONFLICT', `a credential ${record.name} exists`, {
        hint: 'choose another name, or delete it first',
      });
    return { body: { credential: credentialView(record), secret } };
  },

  listCredentials: async ({ query }, { records }) => ({
    body: await listPage(records.credentials, query, ({ record }) => credentialView(record)),
  }),

  async deleteCredential({ caller, params }, { records }) {
    const { name } = params;
    await transact(records.store, `credential ${name}`, async () => {
      const found = await records.credentials.get(name);
      if (!found)
        throw new BilletError('NOT_FOUND', `no credential ${name}`, {
          hint: 'billet credential list',
        });
      if (caller.role !== 'anyone' && caller.role !== 'node' && caller.name === name)
        throw new BilletError('CONFLICT', `${name} is the credential of this very request`, {
          hint: 'delete it with another admin credential, so that one is left',
        });
      return {
        changes: [
          records.credentials.drop(name, found.revision),
          records.events.tell({
            actor: actorOf(caller),
            kind: 'credential.deleted',
            subject: `credential/${name}`,
            text: `${name} was deleted`,
          }),
        ],
        result: () => true,
      };
    });
    return { body: {} };
  },

  getCa: async (_, { authority }) => ({ body: authority.certificatePem }),
  getCrl: async (_, { revocations }) => ({ body: await revocations.crl() }),
};

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
