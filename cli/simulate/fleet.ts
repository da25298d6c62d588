// The nodes, instances and tokens of a simulation, at the coordinator: made before it, and gone after
// it. Measures nothing.

import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import { type InstanceId, NodeName } from '#shared/schema/ids.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import type { Coordinator } from '../client.ts';
import { inParallel } from './parallel.ts';

export interface Member {
  readonly node: NodeName;
  readonly instance: InstanceId;
  readonly token: string;
}

/** Requests of operators under way. */
const AT_ONCE = 16;
const TIMEOUT_MS = 120_000;

const specOf = (round: number): NodeSpec =>
  NodeSpec.parse({ labels: { simulated: 'true' }, settings: { hostname: `round-${round}` } });

/** Made as they are asked for, so that what was made is known when it is cut short. */
export async function makeFleet(
  coordinator: Coordinator,
  options: {
    readonly name: string;
    readonly agents: number;
    readonly signal: AbortSignal;
    readonly onMade: (member: Member) => void;
  },
): Promise<void> {
  const { name, agents, signal, onMade } = options;
  const own = { signal, timeoutMs: TIMEOUT_MS };
  await inParallel(agents, AT_ONCE, signal, async (n) => {
    const node = NodeName.parse(`${name}-${n}`);
    await coordinator.call(routes.createNode, { body: { name: node, spec: specOf(0) }, ...own });
    const params = { name: node };
    const { id } = await coordinator.call(routes.createInstance, { params, body: {}, ...own });
    const { secret } = await coordinator.call(routes.createToken, {
      body: { instance: id },
      ...own,
    });
    onMade({ node, instance: id, token: secret });
  });
}

/** Each node should be something else. `onChanged` at the answer, with the generation. */
export const changeFleet = (
  coordinator: Coordinator,
  members: readonly Pick<Member, 'node'>[],
  signal: AbortSignal,
  onChanged: (n: number, generation: number) => void,
): Promise<void> =>
  inParallel(members.length, AT_ONCE, signal, async (n) => {
    const name = members[n]?.node;
    if (name === undefined) return;
    const call = { params: { name }, body: specOf(1), signal, timeoutMs: TIMEOUT_MS };
    onChanged(n, (await coordinator.call(routes.putNodeSpec, call)).generation);
  });

/** Whatever of it is there still. With a signal of its own: it runs after Ctrl-C, too. */
export async function removeFleet(
  coordinator: Coordinator,
  names: readonly string[],
  onRemoved: () => void,
): Promise<void> {
  const { signal } = new AbortController();
  const own = { signal, timeoutMs: TIMEOUT_MS };
  await inParallel(names.length, AT_ONCE, signal, async (n) => {
    const params = { name: NodeName.parse(names[n]) };
    const node = await coordinator
      .call(routes.getNode, { params, ...own })
      .catch((error) => (isAbsent(error) ? null : Promise.reject(error)));
    if (node?.instance)
      await coordinator.call(routes.terminateInstance, {
        params: { id: node.instance },
        body: { force: true },
        ...own,
      });
    if (node) await coordinator.call(routes.deleteNode, { params, body: {}, ...own });
    onRemoved();
  });
}

const isAbsent = (error: unknown) => error instanceof BilletError && error.code === 'NOT_FOUND';
