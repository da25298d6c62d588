// Decides what a drain does next, from what it sees; never acts. A stage begins when nothing of the one
// before is left, for services may be what containers and pods run on.

import type { DrainOrder, Stayed } from '#shared/schema/drain.ts';
import { stopOrder } from '../reconcile/stop-order.ts';
import type { Seen, SeenContainer, SeenEngine } from './seen.ts';

export type DrainStep =
  | { readonly kind: 'hold-attaching' }
  | { readonly kind: 'cordon-node'; readonly node: string }
  | { readonly kind: 'evict-pods'; readonly node: string; readonly pods: readonly string[] }
  | { readonly kind: 'stop-containers'; readonly containers: readonly SeenContainer[] }
  | { readonly kind: 'stop-engine'; readonly units: readonly string[] }
  /** The reconcile loop detaches them. */
  | { readonly kind: 'hold-services'; readonly names: readonly string[] };

/** Steps to take now, in order. None while something has to be waited for, or nothing is left. */
export function plan(seen: Seen, { cordonOnly }: Pick<DrainOrder, 'cordonOnly'>): DrainStep[] {
  const { cluster, engine, services, holds } = seen;
  const member = cluster?.kind === 'member' ? cluster : null;
  const cordons: DrainStep[] = [
    ...(holds.attaching ? [] : [{ kind: 'hold-attaching' } as const]),
    ...(member && !member.cordoned ? [{ kind: 'cordon-node', node: member.node } as const] : []),
  ];
  if (cordons.length > 0 || cordonOnly) return cordons;
  if (cluster?.kind === 'fault') return [];
  const pods = (member?.pods ?? []).filter(({ belongs }) => !belongs).map(({ name }) => name);
  if (member && pods.length > 0) return [{ kind: 'evict-pods', node: member.node, pods }];
  if (engine) return engineSteps(engine);
  if (!holds.services) return [{ kind: 'hold-services', names: stopOrder(services) }];
  return [];
}

/** What the engine would start again stops first. */
function engineSteps({ kind, containers, units }: SeenEngine): DrainStep[] {
  if (kind === 'silent') return [];
  const restarting = containers.filter(({ restarts }) => restarts);
  const others = containers.filter(({ restarts }) => !restarts);
  const stops = [restarting, others].filter((each) => each.length > 0);
  if (stops.length > 0) return stops.map((each) => ({ kind: 'stop-containers', containers: each }));
  return units.length > 0 ? [{ kind: 'stop-engine', units }] : [];
}

/** What has to go, or to be known, before the order is carried out; none: it is. */
export function stayed(
  seen: Seen,
  { cordonOnly }: Pick<DrainOrder, 'cordonOnly'>,
  /** Why something would not go, by its name, as the tools said it. */
  said: ReadonlyMap<string, string>,
): Stayed[] {
  const { cluster, engine, services, holds, processes } = seen;
  const member = cluster?.kind === 'member' ? cluster : null;
  const left: Stayed[] = [];
  const stay = (kind: Stayed['kind'], name: string, reason: string) =>
    left.push({
      kind,
      name: name.slice(0, 512),
      reason: (said.get(name) ?? reason).slice(0, 1024),
    });
  if (!holds.attaching)
    stay('service', 'reconcile', 'the reconcile loop has not taken the drain up');
  if (cluster?.kind === 'fault') stay('cluster', 'kubernetes', cluster.reason);
  if (member && !member.cordoned) stay('cluster', member.node, 'it is not cordoned');
  if (cordonOnly) return left;
  for (const { name, belongs, reason } of member?.pods ?? [])
    if (!belongs) stay('pod', name, reason);
  for (const { name } of engine?.containers ?? []) stay('container', name, 'it runs');
  if (engine && engine.containers.length === 0) stay('engine', 'docker', engineReason(engine));
  for (const { name } of services) stay('service', name, serviceReason(left.length > 0));
  if (left.length === 0 && !holds.services)
    stay('service', 'reconcile', 'the reconcile loop has not taken up that nothing stays');
  const isLast = left.length === 0;
  for (const { group, names } of isLast ? processes : [])
    stay('cgroup', group, `still runs: ${names.join(', ')}`);
  return left;
}

const engineReason = ({ kind, units, reason }: SeenEngine) =>
  kind === 'silent'
    ? reason
    : units.length > 0
      ? `${units.join(', ')} would not stop`
      : 'it answers, and no unit of it is known: stop it by hand';

const serviceReason = (waits: boolean) =>
  waits ? 'it stops once nothing runs on it' : 'its stop has not come to an end';

/** One line for people. */
export function describe(step: DrainStep): string {
  switch (step.kind) {
    case 'hold-attaching':
      return 'nothing new is attached';
    case 'cordon-node':
      return `kubectl cordon ${step.node}`;
    case 'evict-pods':
      return `kubectl drain ${step.node}: ${step.pods.join(', ')}`;
    case 'stop-containers':
      return `docker stop ${step.containers.map(({ name }) => name).join(' ')}`;
    case 'stop-engine':
      return `systemctl stop ${step.units.join(' ')}`;
    case 'hold-services':
      return `services stop: ${step.names.join(', ') || 'none was attached'}`;
  }
}
