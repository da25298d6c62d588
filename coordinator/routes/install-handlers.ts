// Operator side of installations: ordered, looked at before, and the recovery keys that come of them.

import { isoTime } from '../ids.ts';
import { orderInstall } from '../installs/order-writes.ts';
import { previewInstall } from '../installs/preview/observe.ts';
import { getInstance } from '../nodes/instance-writes.ts';
import { instanceView } from '../nodes/views.ts';
import type { Handlers } from '../router.ts';
import { actorOf } from './handler.ts';

type InstallHandlers = Pick<Handlers, 'orderInstall' | 'previewInstall' | 'listRecoveryKeys'>;

export const installHandlers: InstallHandlers = {
  async orderInstall({ caller, params, body }, { records, live }) {
    const record = await orderInstall(records, actorOf(caller), params.id, body);
    return { body: instanceView(record, await live.presence(record.id)) };
  },

  async previewInstall({ params, query }, deps) {
    const { wipeId = null, diskSerial = null } = query;
    return { body: await previewInstall(deps, params.id, { wipeId, diskSerial }) };
  },

  async listRecoveryKeys({ params }, { records }) {
    await getInstance(records, params.id);
    const keys = (await records.recoveryKeys.get(params.id))?.record.keys ?? [];
    return { body: { items: keys.map((key) => ({ ...key, at: isoTime(key.at) })) } };
  },
};
