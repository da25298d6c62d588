// Operator side: drains, and taking them back.

import type { InstanceId } from '#shared/schema/ids.ts';
import type { Deps } from '../deps.ts';
import { cancelDrain, drain, uncordon } from '../drain/drain-writes.ts';
import { getInstance } from '../nodes/instance-writes.ts';
import { instanceView } from '../nodes/views.ts';
import type { Handlers } from '../router.ts';
import { actorOf } from './handler.ts';

type DrainHandlers = Pick<Handlers, 'drainInstance' | 'cancelDrain' | 'uncordonInstance'>;

export const drainHandlers: DrainHandlers = {
  async drainInstance({ caller, params, body }, deps) {
    await drain(deps.records, actorOf(caller), params.id, body);
    return await answer(deps, params.id);
  },
  async cancelDrain({ caller, params }, deps) {
    await cancelDrain(deps.records, actorOf(caller), params.id);
    return await answer(deps, params.id);
  },
  async uncordonInstance({ caller, params }, deps) {
    await uncordon(deps.records, actorOf(caller), params.id);
    return await answer(deps, params.id);
  },
};

async function answer(deps: Deps, id: InstanceId) {
  const { record } = await getInstance(deps.records, id);
  return { body: instanceView(record, await deps.live.presence(id)) };
}
