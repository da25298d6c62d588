// One look of the sensors at everything: observe, judge, write, tend to remedies. One coordinator at a
// time does it. Holds nothing that another look would miss, but since when a node differs.

import type { Clock } from '#shared/clock.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { type SignalId, SignalTopic } from '#shared/schema/signal.ts';
import { clockWatch } from '../clock-watch.ts';
import type { Log } from '../log.ts';
import type { Records } from '../records.ts';
import { commitAll } from '../store/collection.ts';
import { leadership } from '../store/leadership.ts';
import { applyTurns, type Pending } from './apply.ts';
import type { SignalsConfig } from './config.ts';
import { differing } from './differing.ts';
import { driftSight } from './drift/rules.ts';
import { settle } from './lifecycle.ts';
import { type Observed, observer, type World, waiterOf } from './observe.ts';
import { dueStep, policyOf } from './policy.ts';
import { type QuietRecord, type SignalRecord, signalId } from './records.ts';
import { tendRemedy } from './remedy.ts';
import {
  type Moment,
  type Sight,
  silentSight,
  silentTogether,
  type Together,
  UNKNOWN,
} from './rules.ts';
import { isNearDeadline, stuckSight } from './stuck/rules.ts';

export interface SensorDeps {
  readonly records: Records;
  readonly clock: Clock;
  readonly log: Log;
  readonly config: SignalsConfig;
  /** This coordinator's name. */
  readonly holder: string;
  readonly lastSeen: () => Promise<ReadonlyMap<InstanceId, number>>;
}

export interface Sensors {
  /** One look; how many signals it changed, or null while another coordinator leads. */
  sweep(): Promise<number | null>;
  /** Lets another coordinator take over at once. */
  release(): Promise<void>;
}

export function sensors(deps: SensorDeps): Sensors {
  const { records, clock, log, config, holder } = deps;
  const limits = {
    silentAfterMs: config.silentAfterSeconds * 1000,
    driftAfterMs: config.driftAfterSeconds * 1000,
  };
  const ttlMs = Math.max(15_000, 3 * config.everySeconds * 1000);
  const lead = leadership({ store: records.store, clock, holder, name: 'sensors', ttlMs });
  const watch = clockWatch({ clock, log });
  const differs = differing(clock);
  const observe = observer({ records, lastSeen: deps.lastSeen, differsMs: differs.sinceMs });
  let leading: { readonly epoch: number; readonly since: number } | null = null;

  async function judge(world: World, moment: Moment): Promise<Pending[]> {
    const pending: Pending[] = [];
    const known = new Set<string>();
    const speakers = world.instances.map(({ follower }) => follower);
    const together = silentTogether(speakers, moment, limits);
    for (const one of world.instances)
      for (const topic of SignalTopic.options) {
        const id = signalId(one.instance.id, topic);
        known.add(id);
        const before = world.signals.get(id) ?? null;
        const near = topic === 'stuck' && isNearDeadline(one.instance, moment.now);
        const sight = near ? await lookCloser(one, moment) : sightOf(one, topic, moment, together);
        // Most of what is looked at is well, and was before.
        if (sight.is === 'unknown' || (sight.is === 'clear' && before === null)) continue;
        const { id: instance, node } = one.instance;
        const policy = policyOf(topic, one.signals, config.policies);
        const about = { instance, topic, node, policy };
        const turn = settle(before?.record ?? null, sight, about, moment.now);
        if (turn !== null) pending.push({ turn, revision: before?.revision ?? null });
      }
    for (const [id, { record, revision }] of world.signals) {
      const gone: Sight = { is: 'clear', why: 'the instance is gone' };
      const turn = known.has(id) ? null : settle(record, gone, record, moment.now);
      if (turn !== null) pending.push({ turn, revision });
    }
    return pending;
  }

  function sightOf(
    { instance, follower }: Observed,
    topic: SignalTopic,
    moment: Moment,
    together: ReadonlyMap<string, Together>,
  ): Sight {
    if (topic === 'silent')
      return silentSight(follower, moment, limits, together.get(follower.group));
    if (topic === 'drift') return driftSight(follower, moment, limits);
    return { is: 'clear', why: `it is ${instance.state}` };
  }

  async function lookCloser({ instance, follower }: Observed, moment: Moment): Promise<Sight> {
    const waiter = await waiterOf(records, instance.id, follower.lastSeenAt);
    return waiter === null ? UNKNOWN : stuckSight(waiter, moment, limits);
  }

  return {
    async sweep() {
      const term = await lead.campaign();
      const monotonic = clock.monotonic();
      if (term === null) {
        leading = null;
        return null;
      }
      if (leading?.epoch !== term.epoch) leading = { epoch: term.epoch, since: monotonic };
      const steadyMs = Math.min(watch.steadyMs(), monotonic - leading.since);
      const world = await observe();
      const pending = await judge(world, { now: clock.now(), steadyMs });
      const written = await applyTurns(records, pending, term.condition);
      await dropQuiets(records, world);
      return written + (await tendAll(deps, world, pending, term.condition));
    },
    release: () => lead.release(),
  };
}

/** Of the signals that this look left as they were, and of those that it changed. */
async function tendAll(
  { records, log, clock }: SensorDeps,
  world: World,
  changed: readonly Pending[],
  lead: Parameters<typeof applyTurns>[2],
): Promise<number> {
  const touched = new Set(changed.map(({ turn: { next } }) => signalId(next.instance, next.topic)));
  const mayGoOn = (record: SignalRecord) =>
    record.state !== 'resolved' && (record.remedy.isOpen || dueStep(record, clock.now()) !== null);
  const open: { readonly record: SignalRecord; readonly revision: number }[] = [];
  for (const [id, found] of world.signals)
    if (!touched.has(id as SignalId) && mayGoOn(found.record)) open.push(found);
  for (const { turn } of changed.filter((one) => mayGoOn(one.turn.next))) {
    const found = await records.signals.get(signalId(turn.next.instance, turn.next.topic));
    if (found) open.push(found);
  }
  const pending: Pending[] = [];
  for (const found of open) {
    const turn = await tendRemedy({ records, log }, found);
    if (turn !== null) pending.push(turn);
  }
  return await applyTurns(records, pending, lead);
}

/** What is over is forgotten: nobody asks for it any more. */
async function dropQuiets(records: Records, { quiets, instances }: World): Promise<void> {
  if (quiets.size === 0) return;
  const boots = new Map(instances.map(({ instance }) => [instance.id as string, instance.bootId]));
  const now = records.clock.now();
  const isOver = (id: string, { until, bootId }: QuietRecord) =>
    until <= now || (bootId !== null && boots.get(id) !== bootId);
  for (const [id, quiet] of quiets) {
    // Somebody may have said another time since.
    const found = isOver(id, quiet) ? await records.quiets.get(id) : null;
    if (found && isOver(id, found.record))
      await commitAll(records.store, [records.quiets.drop(id, found.revision)]);
  }
}
