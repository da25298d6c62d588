// Reads from the store what the sensors judge: every instance with its node, newest heartbeat and last
// sign of life, and the signals that there are. Judges nothing and writes nothing.

import type { ClassSpec, LifecycleClass } from '#shared/schema/class.ts';
import type { Heartbeat } from '#shared/schema/heartbeat.ts';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import type { ProviderKind } from '#shared/schema/provider.ts';
import type { InstanceState } from '#shared/schema/records.ts';
import type { ClassSignals, Drift } from '#shared/schema/signal.ts';
import type { Records } from '../records.ts';
import { driftBetween, type Follower, type Said } from './drift/rules.ts';
import { isQuiet, type QuietRecord, type SignalRecord } from './records.ts';
import { interning, remembered } from './remembered.ts';
import type { Waiter } from './stuck/rules.ts';

/** Of the instance's record; small, as there may be a hundred thousand. */
interface InstanceFacts {
  readonly id: InstanceId;
  readonly node: NodeName | null;
  readonly provider: ProviderKind;
  readonly lifecycleClass: LifecycleClass;
  readonly state: InstanceState;
  readonly stateSince: number;
  readonly signalled: number;
  readonly generation: number;
  readonly rejected: string | null;
  readonly bootId: string | null;
  readonly bootOrdered: boolean;
  readonly needsToken: boolean;
  readonly install: { readonly waits: boolean } | null;
}

interface HeartbeatFacts {
  readonly isMeasured: boolean;
  /** JSON of `Running`. */
  readonly running: string;
  /** JSON of `Said`. */
  readonly said: string;
}

interface NodeFacts {
  readonly class: string | null;
  readonly pool: string | null;
  /** JSON of `ModuleRef[]`. */
  readonly wanted: string;
}

export interface Observed {
  readonly instance: InstanceFacts;
  readonly follower: Follower;
  /** What its class says; null without one. */
  readonly signals: ClassSignals | null;
}

export interface World {
  readonly instances: readonly Observed[];
  /** By id of the signal. */
  readonly signals: ReadonlyMap<
    string,
    { readonly record: SignalRecord; readonly revision: number }
  >;
  readonly quiets: ReadonlyMap<string, QuietRecord>;
}

export interface ObserveDeps {
  readonly records: Records;
  /** The last sign of life of everybody, at any coordinator. */
  readonly lastSeen: () => Promise<ReadonlyMap<InstanceId, number>>;
  /** By Clock.monotonic: since when it was seen to differ, at its generation. */
  readonly differsMs: (instance: InstanceId, generation: number, drift: Drift | null) => number;
}

export function observer({ records, lastSeen, differsMs }: ObserveDeps): () => Promise<World> {
  const same = interning();
  const look = {
    instances: remembered(records.instances, ({ record }): InstanceFacts => {
      const { id, node, provider, lifecycleClass, state, stateSince, signalled } = record;
      const { generation, bootId, boot, facts } = record;
      const rejected = record.rejected.find((each) => each.generation === generation);
      return {
        ...{ id, node, provider, lifecycleClass, state, stateSince, signalled, generation, bootId },
        rejected: rejected?.reason ?? null,
        bootOrdered: boot.ordered,
        needsToken: facts?.keySurvives === false,
        install: record.install?.waits ? REFUSED : null,
      };
    }),
    heartbeats: remembered(records.heartbeats, ({ record: { heartbeat } }): HeartbeatFacts => {
      const { generation, staged, lastReconcile, conditions, modules, systemImage } = heartbeat;
      const { at: _, steps: __, ...outcome } = lastReconcile ?? NO_OUTCOME;
      const said = { generation, staged, conditions, lastReconcile: lastReconcile && outcome };
      return {
        isMeasured: modules !== undefined,
        running: same(JSON.stringify({ modules, systemImage })),
        said: same(JSON.stringify(said)),
      };
    }),
    nodes: remembered(records.nodes, ({ record: { derived, spec } }): NodeFacts => {
      return {
        class: derived.class,
        pool: spec.pool,
        wanted: same(JSON.stringify(derived.modules)),
      };
    }),
    signals: remembered(records.signals, (found) => found),
  };
  const compare = comparing();

  return async () => {
    const [seen, instances, heartbeats, nodes, signals, quiets, classes, ahead] = await Promise.all(
      [
        lastSeen(),
        look.instances(),
        look.heartbeats(),
        look.nodes(),
        look.signals(),
        allOf(records.quiets),
        allOf(records.catalog.class),
        allOf(records.returns),
      ],
    );
    const now = records.clock.now();
    const observed = Array.from(instances.values(), (instance): Observed => {
      const { id, node: name } = instance;
      const node = name === null ? undefined : nodes.get(name);
      const heartbeat = heartbeats.get(id);
      const drift = node && heartbeat ? compare(node.wanted, heartbeat.running) : null;
      const ofClass: ClassSpec | undefined = node?.class
        ? classes.get(node.class)?.spec
        : undefined;
      const { generation } = instance;
      const follower: Follower = {
        ...instance,
        group: groupOf(node),
        lastSeenAt: seen.get(id) ?? null,
        isQuiet: isQuiet(quiets.get(id) ?? null, instance, now),
        isAhead: Boolean(ahead.get(id)?.ahead),
        drift,
        differsMs: differsMs(id, generation, drift),
        said: node && heartbeat?.isMeasured ? saidOf(heartbeat, drift) : null,
      };
      return { instance, follower, signals: ofClass?.signals ?? null };
    });
    return { instances: observed, signals, quiets };
  };
}

/** An instance looked at closely: of the few that are near the end of their time. */
export async function waiterOf(
  records: Records,
  id: InstanceId,
  lastSeenAt: number | null,
): Promise<Waiter | null> {
  const [found, heartbeat, install] = await Promise.all([
    records.instances.get(id),
    records.heartbeats.get(id),
    records.installs.get(id),
  ]);
  if (!found) return null;
  const { record } = found;
  return {
    ...record,
    fault: record.machine?.fault ?? null,
    hasMachine: record.machine !== null,
    heartbeat: heartbeat?.record.heartbeat ?? null,
    lastSeenAt,
    installProblem: install?.record.report.problem ?? null,
  };
}

/** Nodes that are alike are compared once. */
function comparing(): (wanted: string, running: string) => Drift | null {
  let known = new Map<string, Map<string, Drift | null>>();
  let count = 0;
  return (wanted, running) => {
    const before = known.get(wanted)?.get(running);
    if (before !== undefined) return before;
    if (count >= COMPARED_MAX) [known, count] = [new Map(), 0];
    const drift = driftBetween(
      JSON.parse(wanted) as ModuleRef[],
      JSON.parse(running) as Pick<Heartbeat, 'modules' | 'systemImage'>,
    );
    const ofWanted = known.get(wanted) ?? new Map<string, Drift | null>();
    known.set(wanted, ofWanted.set(running, drift));
    count += 1;
    return drift;
  };
}

const COMPARED_MAX = 100_000;

const groupOf = (node: NodeFacts | undefined): string =>
  node?.pool ? `pool ${node.pool}` : node?.class ? `class ${node.class}` : 'the fleet';

/** What it said beside its modules is asked for only where they are not as they should be. */
const saidOf = ({ said }: HeartbeatFacts, drift: Drift | null): Said =>
  drift === null ? NOTHING_SAID : JSON.parse(said);

const REFUSED = { waits: true } as const;
const NOTHING_SAID: Said = { generation: 0, conditions: [] };
const NO_OUTCOME = { at: '', steps: 0 };

async function allOf<T>(source: {
  all(): AsyncIterable<{ readonly id: string; readonly record: T }>;
}): Promise<ReadonlyMap<string, T>> {
  const found = new Map<string, T>();
  for await (const { id, record } of source.all()) found.set(id, record);
  return found;
}
