// Claims: the machine's side for anyone, limited by address; the operator's, limited by wrong codes.

import { findClaim } from '../claims/answer.ts';
import { approveClaim, denyClaim } from '../claims/claim-answers.ts';
import { openClaim, pollClaim } from '../claims/claim-writes.ts';
import { claimStatus, claimView } from '../claims/records.ts';
import { lookAgain } from '../claims/registered/admit.ts';
import { judgeMachine } from '../claims/registered/observe.ts';
import type { Handlers } from '../router.ts';
import { actorOf } from './handler.ts';
import { listPage } from './page.ts';

type ClaimHandlers = Pick<
  Handlers,
  'openClaim' | 'pollClaim' | 'listClaims' | 'getClaim' | 'approveClaim' | 'denyClaim'
>;

export const claimHandlers: ClaimHandlers = {
  async openClaim({ body, address }, { records, claims }) {
    const { facts, instance = null } = body;
    const judged = await judgeMachine(records, { facts, instance }, claims);
    claims.admitFrom(address, judged.kind === 'approve');
    const record = await openClaim(records, { ...body, address }, claims);
    claims.looked(record.code);
    return { body: claimStatus(record) };
  },

  async pollClaim({ body, address }, { records, failures, claims }) {
    const record = await failures.guard(address, () => pollClaim(records, body));
    const again = record.state === 'open' && claims.mayLook(record.code);
    if (again) claims.looked(record.code);
    return { body: claimStatus(again ? await lookAgain(records, record.code, claims) : record) };
  },

  listClaims: async ({ query }, { records, clock }) => ({
    body: await listPage(
      records.claims,
      query,
      ({ record }) => claimView(record),
      ({ expiresAt }) => expiresAt > clock.now(),
    ),
  }),

  async getClaim({ caller, params }, { records, claims }) {
    const found = await claims.guardCode(actorOf(caller), () => findClaim(records, params.code));
    return { body: claimView(found.record) };
  },

  async approveClaim({ caller, params, body }, { records, claims }) {
    const actor = actorOf(caller);
    const wanted = { code: params.code, ...body };
    const approve = () => approveClaim(records, actor, wanted);
    return { body: claimView(await claims.guardCode(actor, approve)) };
  },

  async denyClaim({ caller, params }, { records, claims }) {
    const actor = actorOf(caller);
    const deny = () => denyClaim(records, actor, params.code);
    return { body: claimView(await claims.guardCode(actor, deny)) };
  },
};
