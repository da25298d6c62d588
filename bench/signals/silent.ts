// How long it takes, and what it costs, to notice that a whole fleet has fallen silent: the coordinator's
// sensors over its real store, on a disk, with every instance's node, heartbeat and last sign of life.

import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { ModuleRef } from '#shared/schema/module.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { derive, NO_SOURCES } from '../../coordinator/catalog/rules.ts';
import { liveness } from '../../coordinator/live/liveness.ts';
import { silentLog } from '../../coordinator/log.ts';
import { freshInstance } from '../../coordinator/nodes/instance-writes.ts';
import { enter } from '../../coordinator/nodes/records.ts';
import { records as openRecords, type Records } from '../../coordinator/records.ts';
import { SignalsConfig } from '../../coordinator/signals/config.ts';
import { type Sensors, sensors } from '../../coordinator/signals/sweep.ts';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import type { Bench, BenchContext, Figure } from '../bench.ts';
import { reportOf } from '../link/report.ts';

const AGENTS = 10_000;
const AT_ONCE = 24;
const START = Date.UTC(2026, 10, 21);
const CONFIG = SignalsConfig.parse({});
const PERIOD_MS = CONFIG.everySeconds * 1000;

export const silent: Bench = {
  name: 'signals/silent',
  limitMs: 180_000,
  needsArtifacts: false,
  async run(context) {
    const { dir, signal, progress } = context;
    let now = START;
    // The fleet's time is ours; that of the measurement is the machine's.
    const clock: Clock = { ...context.clock, now: () => now, monotonic: () => now - START };
    const store = sqliteStore({ path: join(dir, 'store.sqlite') });
    const records = openRecords(store, clock);
    const seen = liveness(store, 'coordinator');
    const look = sensors({
      ...{ records, clock, log: silentLog, config: CONFIG, holder: 'coordinator' },
      lastSeen: seen.all,
    });
    try {
      progress(`signals/silent: a store of ${AGENTS} running instances`);
      const instances = await fleet(records, signal);
      const hear = async () => {
        for (const id of instances) seen.seen(id, now);
        await seen.flush(now);
      };
      const cold = await during(context, look);
      const quiet: Sweep[] = [];
      // Longer than anything is held back for after a start.
      for (let minute = 0; minute < 8; minute += 1) {
        now += PERIOD_MS;
        await hear();
        quiet.push(await during(context, look));
      }
      const lostAt = now;
      let lost: Sweep | null = null;
      while (lost === null && now < lostAt + 20 * PERIOD_MS) {
        signal.throwIfAborted();
        now += PERIOD_MS;
        const one = await during(context, look);
        if (one.changed > 0) lost = one;
      }
      const open = await count(records);
      const after = await during(context, look);
      return figures({ cold, quiet, lost, open, late: now - lostAt, after });
    } finally {
      await store.close();
    }
  },
};

interface Sweep {
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly changed: number;
}

async function during({ clock }: BenchContext, look: Sensors): Promise<Sweep> {
  const [before, start] = [process.cpuUsage(), clock.monotonic()];
  const changed = (await look.sweep()) ?? 0;
  const { user, system } = process.cpuUsage(before);
  return { cpuMs: (user + system) / 1000, wallMs: clock.monotonic() - start, changed };
}

function figures(found: {
  readonly cold: Sweep;
  readonly quiet: readonly Sweep[];
  readonly lost: Sweep | null;
  readonly open: number;
  readonly late: number;
  readonly after: Sweep;
}): Figure[] {
  const { cold, quiet, lost, open, late, after } = found;
  const silentMs = CONFIG.silentAfterSeconds * 1000;
  const none = { target: null };
  const least = quiet.reduce((best, one) => Math.min(best, one.cpuMs), Number.POSITIVE_INFINITY);
  return [
    {
      name: `signals of ${AGENTS} lost agents`,
      value: open,
      unit: '',
      target: { at: 'least', value: AGENTS },
    },
    {
      name: 'from the end of the silence period to the signals',
      value: (late - silentMs) / 1000,
      unit: 's',
      target: { at: 'most', value: CONFIG.everySeconds },
      note: 'in the time of the fleet, one look of the sensors a minute',
    },
    {
      name: 'CPU of that look',
      value: (lost?.cpuMs ?? Number.NaN) / 1000,
      unit: 's',
      target: { at: 'most', value: 1 },
      note: `${((lost?.wallMs ?? 0) / 1000).toFixed(2)} s by the wall clock; a signal and an event of each, committed to disk`,
    },
    { name: 'CPU of a look when all is well', value: least / 1000, unit: 's', ...none },
    {
      name: 'CPU of the first look after a start',
      value: cold.cpuMs / 1000,
      unit: 's',
      ...none,
      note: 'every record is decoded once',
    },
    { name: 'CPU of the look after, nothing new', value: after.cpuMs / 1000, unit: 's', ...none },
  ];
}

const digest = (hex: string) => `sha256:${hex.repeat(64)}`;

/** As the agents of the bench report: five modules, which are those that are wanted. */
const MODULES = (reportOf(0, 0).modules ?? []).map((each) =>
  ModuleRef.parse({
    ...each,
    kind: each.state === 'merged' ? 'system' : 'service',
    repository: each.name,
    image: digest('b'),
  }),
);

/** Nodes with running instances and their heartbeats, written as one coordinator would, in bulk. */
async function fleet(records: Records, signal: AbortSignal): Promise<readonly InstanceId[]> {
  const spec = NodeSpec.parse({ modules: MODULES });
  const derived = derive(spec, NO_SOURCES, null);
  const ids: InstanceId[] = [];
  for (let from = 0; from < AGENTS; from += AT_ONCE) {
    signal.throwIfAborted();
    const changes = [];
    for (let number = from; number < Math.min(from + AT_ONCE, AGENTS); number += 1) {
      const name = NodeName.parse(`node-${number}`);
      const bare = { name, spec, generation: 1, instance: null, lives: 0, derived, set: null };
      const node = { ...bare, createdAt: START };
      const fresh = freshInstance(records, node);
      const running = { ...enter(fresh, 'running', START), goods: [1] };
      const heartbeat = reportOf(number, 0);
      changes.push(
        records.nodes.put(name, { ...node, instance: running.id, lives: 1 }, 0),
        records.instances.put(running.id, { ...running, bootId: heartbeat.bootId }, 0),
        records.heartbeats.put(running.id, { heartbeat, at: START }, 0),
      );
      ids.push(InstanceId.parse(running.id));
    }
    await records.store.commit(
      [],
      changes.map(({ write }) => write),
    );
  }
  return ids;
}

async function count({ signals }: Records): Promise<number> {
  let open = 0;
  for await (const { record } of signals.all())
    if (record.state === 'open' && record.topic === 'silent') open += 1;
  return open;
}
