// Operator side: bootstrap tokens and credentials.

import { BilletError } from '#shared/errors.ts';
import { credentialView, newCredential } from '../access/credentials.ts';
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
  | 'createCredential'
  | 'listCredentials'
  | 'deleteCredential'
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
};
