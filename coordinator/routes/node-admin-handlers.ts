// Operator side: nodes, and their instances.

import { BilletError } from '#shared/errors.ts';
import type { NodeName } from '#shared/schema/ids.ts';
import type { Instance } from '#shared/schema/records.ts';
import type { Deps } from '../deps.ts';
import { meetDeadline, terminate } from '../nodes/instance-end.ts';
import { createInstance, getInstance, orderBoot } from '../nodes/instance-writes.ts';
import { createNode, deleteNode, putNodeSpec } from '../nodes/node-writes.ts';
import type { InstanceRecord, NodeRecord } from '../nodes/records.ts';
import { instanceView, nodeView } from '../nodes/views.ts';
import type { Handlers } from '../router.ts';
import type { Found } from '../store/collection.ts';
import { actorOf } from './handler.ts';
import { listPage } from './page.ts';

type NodeAdminHandlers = Pick<
  Handlers,
  | 'createNode'
  | 'listNodes'
  | 'getNode'
  | 'putNodeSpec'
  | 'deleteNode'
  | 'createInstance'
  | 'listInstances'
  | 'getInstance'
  | 'orderBoot'
  | 'terminateInstance'
>;

export const nodeAdminHandlers: NodeAdminHandlers = {
  createNode: async ({ caller, body }, { records }) =>
    nodeAnswer(await createNode(records, actorOf(caller), body)),

  listNodes: async ({ query }, { records }) => ({
    body: await listPage(records.nodes, query, nodeView, ({ set }) => (query.set ?? set) === set),
  }),

  getNode: async ({ params }, { records }) =>
    nodeAnswer((await records.nodes.get(params.name)) ?? noNode(params.name)),

  putNodeSpec: async ({ caller, params, body, ifMatch }, { records }) =>
    nodeAnswer(
      await putNodeSpec(records, actorOf(caller), { name: params.name, spec: body, ifMatch }),
    ),

  async deleteNode({ caller, params }, { records }) {
    await deleteNode(records, actorOf(caller), params.name);
    return { body: {} };
  },

  async createInstance({ caller, params }, deps) {
    const record = await createInstance(deps.records, actorOf(caller), params.name);
    return { body: await instanceOf(deps, record) };
  },

  async listInstances({ query }, deps) {
    const { node, state } = query;
    return {
      body: await listPage(
        deps.records.instances,
        query,
        ({ record }) => instanceOf(deps, record),
        (record) =>
          (node ?? record.node) === record.node && (state ?? record.state) === record.state,
      ),
    };
  },

  getInstance: async ({ params }, deps) => ({
    body: await instanceOf(deps, (await getInstance(deps.records, params.id)).record),
  }),

  async orderBoot({ caller, params }, deps) {
    return {
      body: await instanceOf(deps, await orderBoot(deps.records, actorOf(caller), params.id)),
    };
  },

  async terminateInstance({ caller, params, body }, deps) {
    const { records, revocations } = deps;
    const ended = await terminate(deps, actorOf(caller), params.id, body);
    if (ended.revision !== null) await revocations.reached(ended.revision);
    // Where no provider has a machine to stop, this is the end already.
    if (ended.record.machine === null) await meetDeadline(deps, params.id);
    else deps.provisioner.wake();
    return { body: await instanceOf(deps, (await getInstance(records, params.id)).record) };
  },
};

const nodeAnswer = (found: Found<NodeRecord>) => ({
  body: nodeView(found),
  etag: `"${found.revision}"`,
});

const instanceOf = async (deps: Deps, record: InstanceRecord): Promise<Instance> =>
  instanceView(record, await deps.live.presence(record.id));

function noNode(name: NodeName): never {
  throw new BilletError('NOT_FOUND', `no node ${name}`, { hint: 'billet node list' });
}
