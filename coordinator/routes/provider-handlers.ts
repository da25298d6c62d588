// Operator side: provisioning, providers, and what was left at them.

import type { Provider as ProviderView } from '#shared/schema/provider.ts';
import type { Deps } from '../deps.ts';
import { notePreemption } from '../nodes/preemption.ts';
import { instanceView } from '../nodes/views.ts';
import type { Provider } from '../providers/provider.ts';
import { destroyLeftover, findLeftovers } from '../provisioning/leftovers.ts';
import { placementOf } from '../provisioning/placement.ts';
import { provision } from '../provisioning/provision-writes.ts';
import { machineCount } from '../provisioning/quota.ts';
import type { Handlers } from '../router.ts';
import { actorOf } from './handler.ts';

type ProviderHandlers = Pick<
  Handlers,
  'provisionInstances' | 'preemptInstance' | 'listProviders' | 'listLeftovers' | 'destroyLeftover'
>;

export const providerHandlers: ProviderHandlers = {
  async provisionInstances({ caller, body, signal }, deps) {
    const { nodes, fromPool, idempotencyKey = null, ...rest } = body;
    const placement = placementOf(deps.records, rest);
    const order = { nodes, placement, fromPool, idempotencyKey };
    const items = await provision(deps, actorOf(caller), order, signal);
    deps.provisioner.wake();
    return { body: { items: [...items] } };
  },

  async preemptInstance({ caller, params: { id }, body }, deps) {
    const endsAt = deps.clock.now() + body.inSeconds * 1000;
    const record = await notePreemption(deps.records, actorOf(caller), id, endsAt);
    deps.provisioner.wake();
    return { body: instanceView(record, await deps.live.presence(id)) };
  },

  async listProviders({ signal }, deps) {
    const known = await Promise.all(
      [...deps.providers.values()].map((one) => view(deps, one, signal)),
    );
    const manual = { name: 'manual', mode: 'real', machinesMax: null, machines: 0 } as const;
    return { body: { items: [{ ...manual, fault: null }, ...known] } };
  },

  async listLeftovers({ signal }, deps) {
    return { body: { items: [...(await findLeftovers(deps, signal))] } };
  },

  async destroyLeftover({ caller, params, signal }, deps) {
    await destroyLeftover(deps, actorOf(caller), params, signal);
    return { body: {} };
  },
};

async function view(
  { records }: Deps,
  { name, mode, machinesMax, check }: Provider,
  signal: AbortSignal,
): Promise<ProviderView> {
  const machines = await machineCount(records, name);
  const fault = await check(signal).then(
    () => null,
    (error) => ({
      code: String(error.code ?? 'INTERNAL'),
      message: String(error.message).slice(0, 1024),
      hint: String(error.hint ?? 'look at the coordinator’s log').slice(0, 1024),
    }),
  );
  return { name, mode, machinesMax, machines, fault };
}
