// Operator side: signals, and instances that are expected to be quiet.

import type { acknowledgeSignal } from '#shared/routes/signal.ts';
import type { Deps } from '../deps.ts';
import type { Handlers } from '../router.ts';
import { quietInstance, quietOf } from '../signals/quiet-writes.ts';
import { quietView, signalView } from '../signals/records.ts';
import {
  answerSignal,
  deleteSignal,
  getSignal,
  type PersonsAnswer,
} from '../signals/signal-writes.ts';
import type { Call } from './handler.ts';
import { actorOf } from './handler.ts';
import { listPage } from './page.ts';

type SignalHandlers = Pick<
  Handlers,
  | 'listSignals'
  | 'getSignal'
  | 'acknowledgeSignal'
  | 'approveSignal'
  | 'dismissSignal'
  | 'deleteSignal'
  | 'quietInstance'
  | 'getQuiet'
>;

const answering =
  (what: PersonsAnswer['what']) =>
  async (
    { caller, params, body }: Pick<Call<typeof acknowledgeSignal>, 'caller' | 'params' | 'body'>,
    { records }: Pick<Deps, 'records'>,
  ) => {
    const answer = { what, actor: actorOf(caller), opening: body.opening };
    return { body: signalView({ record: await answerSignal(records, params.id, answer) }) };
  };

export const signalHandlers: SignalHandlers = {
  listSignals: async ({ query }, { records }) => {
    const { instance, topic, state = 'not resolved' } = query;
    return {
      body: await listPage(
        records.signals,
        query,
        signalView,
        (record) =>
          (instance ?? record.instance) === record.instance &&
          (topic ?? record.topic) === record.topic &&
          (state === 'all' ||
            (state === 'not resolved' ? record.state !== 'resolved' : record.state === state)),
      ),
    };
  },

  getSignal: async ({ params }, { records }) => ({
    body: signalView(await getSignal(records, params.id)),
  }),

  acknowledgeSignal: answering('acknowledge'),
  approveSignal: answering('approve'),
  dismissSignal: answering('dismiss'),

  async deleteSignal({ caller, params }, { records }) {
    await deleteSignal(records, actorOf(caller), params.id);
    return { body: {} };
  },

  async quietInstance({ caller, params, body }, { records }) {
    const order = { actor: actorOf(caller), ...body };
    return { body: quietView(params.id, await quietInstance(records, params.id, order)) };
  },

  getQuiet: async ({ params }, { records }) => ({
    body: quietView(params.id, await quietOf(records, params.id)),
  }),
};
