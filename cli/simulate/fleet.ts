// The template, nodes, instances and tokens of a simulation, at the coordinator: made before it, and
// gone after it. Nodes that it did not make are never touched. Measures nothing.

import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import { type InstanceId, NodeName, type ResourceName } from '#shared/schema/ids.ts';
import { type Node, NodeSpec } from '#shared/schema/records.ts';
import { TemplateSpec } from '#shared/schema/template.ts';
import { type Coordinator, listAll } from '../client.ts';
import { inParallel } from './parallel.ts';
import { type Retry, retried } from './retry.ts';

export interface Member {
  readonly node: NodeName;
  readonly instance: InstanceId;
  readonly token: string;
}

export interface FleetDeps {
  readonly coordinator: Coordinator;
  readonly retry: Retry;
}

/** Requests of operators under way. */
const AT_ONCE = 16;
const TIMEOUT_MS = 120_000;
/** On every node of a simulation, with the name of the simulation. */
const LABEL = 'simulated';

const templateOf = (timezone: string) =>
  TemplateSpec.parse({ description: 'of billet simulate', settings: { timezone } });

/** Requests are not cut short by Ctrl-C: what they make has to be known, or it could not be removed. */
const toTheEnd = () => ({ signal: new AbortController().signal, timeoutMs: TIMEOUT_MS });

/** CONFLICT when something of that name is there: it would be taken for this simulation's. */
export async function assertUnused(
  { coordinator }: FleetDeps,
  name: ResourceName,
  signal: AbortSignal,
): Promise<void> {
  const params = { name };
  const found = await coordinator
    .call(routes.getTemplate, { params, signal, timeoutMs: TIMEOUT_MS })
    .catch((error) => (isAbsent(error) ? null : Promise.reject(error)));
  if (found === null) return;
  throw new BilletError('CONFLICT', `the template ${name} is there already`, {
    hint: `give another --name; billet simulate --remove ends what a simulation left`,
  });
}

/** `onMade` as they come. */
export async function makeFleet(
  { coordinator, retry }: FleetDeps,
  options: {
    readonly name: ResourceName;
    readonly agents: number;
    readonly signal: AbortSignal;
    readonly onMade: (member: Member) => void;
  },
): Promise<void> {
  const { name, agents, signal, onMade } = options;
  const spec = NodeSpec.parse({ template: name, labels: { [LABEL]: name } });
  await coordinator.call(routes.createTemplate, {
    body: { name, spec: templateOf('Etc/UTC'), set: name },
    ...toTheEnd(),
  });
  const make = async (n: number) => {
    const node = NodeName.parse(`${name}-${n}`);
    const body = { name: node, spec, set: name };
    await coordinator.call(routes.createNode, { body, ...toTheEnd() });
    const params = { name: node };
    const made = await coordinator.call(routes.createInstance, { params, ...toTheEnd() });
    const token = { body: { instance: made.id }, ...toTheEnd() };
    const { secret } = await coordinator.call(routes.createToken, token);
    onMade({ node, instance: made.id, token: secret });
  };
  await inParallel(agents, AT_ONCE, signal, (n) => retried(retry, signal, () => make(n)));
}

/** One change, of the template; resolves when the coordinator has taken it. */
export async function changeFleet(
  { coordinator }: FleetDeps,
  name: ResourceName,
  signal: AbortSignal,
): Promise<void> {
  const call = { params: { name }, body: templateOf('Europe/Berlin'), signal };
  await coordinator.call(routes.putTemplate, { ...call, timeoutMs: TIMEOUT_MS });
}

/** Whatever of it is there still, in this process or an earlier one. How many nodes it was. */
export async function removeFleet(
  deps: FleetDeps,
  name: ResourceName,
  onRemoved: () => void,
): Promise<number> {
  const { coordinator, retry } = deps;
  const { signal } = toTheEnd();
  const nodes = await listAll<Node>((page) =>
    coordinator.call(routes.listNodes, { query: { set: name, ...page }, ...toTheEnd() }),
  );
  const ours = nodes.filter(({ spec }) => spec.labels[LABEL] === name);
  await inParallel(ours.length, AT_ONCE, signal, async (n) => {
    const node = ours[n];
    if (node) await retried(retry, signal, () => removeNode(coordinator, node));
    onRemoved();
  });
  const params = { name };
  const remove = () => coordinator.call(routes.deleteTemplate, { params, ...toTheEnd() });
  await retried(retry, signal, () => orAbsent(remove()));
  return ours.length;
}

/** Names of simulations of which something is left. */
export async function leftFleets({ coordinator }: FleetDeps): Promise<readonly ResourceName[]> {
  const templates = await listAll((page) =>
    coordinator.call(routes.listTemplates, { query: page, ...toTheEnd() }),
  );
  return templates
    .filter(({ name, set, spec }) => set === name && spec.description === 'of billet simulate')
    .map(({ name }) => name);
}

async function removeNode(coordinator: Coordinator, node: Node): Promise<void> {
  if (node.instance !== null)
    await orAbsent(
      coordinator.call(routes.terminateInstance, {
        params: { id: node.instance },
        body: { force: true, abandon: false },
        ...toTheEnd(),
      }),
    );
  const params = { name: node.name };
  await orAbsent(coordinator.call(routes.deleteNode, { params, ...toTheEnd() }));
}

/** What another request, whose answer was lost, has removed already. */
async function orAbsent(work: Promise<unknown>): Promise<void> {
  await work.catch((error) => (isAbsent(error) ? null : Promise.reject(error)));
}

const isAbsent = (error: unknown) => error instanceof BilletError && error.code === 'NOT_FOUND';
