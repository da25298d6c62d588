// Looks for instances that fell silent and may be replaced by rule, and ends them: their machines are
// destroyed next, and their nodes get others once that is proven. Who is lost is decided in rules.ts.

import type { Clock } from '#shared/clock.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { Revocations } from '../../ca/revocation.ts';
import { clockWatch } from '../../clock-watch.ts';
import { COORDINATOR } from '../../events/records.ts';
import type { Log } from '../../log.ts';
import { type EndDeps, endDraft } from '../../nodes/instance-end.ts';
import type { InstanceRecord } from '../../nodes/records.ts';
import { isQuiet } from '../../signals/records.ts';
import { commitAll } from '../../store/collection.ts';
import type { Condition } from '../../store/store.ts';
import { transact } from '../../store/transact.ts';
import { type Held, LOST_AFTER_MS, lossesOf, type Watched } from './rules.ts';

export interface LossDeps extends EndDeps {
  readonly revocations: Pick<Revocations, 'reached'>;
  readonly clock: Clock;
  readonly log: Log;
  /** When each instance was last seen, by any coordinator. */
  readonly seen: () => Promise<ReadonlyMap<InstanceId, number>>;
}

/** A term of leadership. */
interface Term {
  readonly epoch: number;
  readonly condition: Condition;
}

const LOOK_EVERY_MS = 60_000;

/** To be called often; looks once a minute. Holds nothing but how long it has led. */
export function lossWatch(deps: LossDeps): (term: Term, signal: AbortSignal) => Promise<void> {
  const { clock, log } = deps;
  const steady = clockWatch({ clock, log });
  let led = { epoch: -1, since: 0 };
  let lookedAt = -Infinity;
  const told = new Set<string>();

  return async (term, signal) => {
    const monotonic = clock.monotonic();
    if (led.epoch !== term.epoch) led = { epoch: term.epoch, since: monotonic };
    const steadyMs = Math.min(steady.steadyMs(), monotonic - led.since);
    if (steadyMs < LOST_AFTER_MS || lookedAt + LOOK_EVERY_MS > monotonic) return;
    lookedAt = monotonic;
    const watched = await watch(deps);
    const { lost, held } = lossesOf(watched, clock.now(), steadyMs);
    for (const id of lost) {
      if (signal.aborted) return;
      await endLost(deps, id, term.condition);
    }
    for (const one of held) if (!told.has(one.group)) await tellHeld(deps, one);
    told.clear();
    for (const { group } of held) told.add(group);
  };
}

async function watch({ records, seen, clock }: LossDeps): Promise<readonly Watched[]> {
  const found: InstanceRecord[] = [];
  for await (const { record } of records.operations.all()) {
    const instance = await records.instances.get(record.instance);
    if (instance) found.push(instance.record);
  }
  const times = await seen();
  return await Promise.all(
    found.map(async (one) => {
      const node = await records.nodes.get(one.node);
      const pool = one.pool ?? node?.record.spec.pool ?? null;
      return {
        ...{ id: one.id, state: one.state, stateSince: one.stateSince },
        ...{ lifecycleClass: one.lifecycleClass, worked: one.goods.length > 0 },
        group: pool === null ? `provider/${one.provider}` : `pool/${pool}`,
        isQuiet: isQuiet((await records.quiets.get(one.id))?.record ?? null, one, clock.now()),
        lastSeenAt: times.get(one.id) ?? null,
      };
    }),
  );
}

/** In one commit, if it is still silent then; a leader that was overtaken writes nothing. */
async function endLost(deps: LossDeps, id: InstanceId, lead: Condition): Promise<void> {
  const { records, seen, clock } = deps;
  const ended = await transact(records.store, `instance ${id}`, async () => {
    const found = await records.instances.get(id);
    if (!found || !['running', 'draining'].includes(found.record.state)) return null;
    const at = (await seen()).get(id) ?? 0;
    if (at + LOST_AFTER_MS > clock.now()) return null;
    const reason = `silent for ${LOST_AFTER_MS / 60_000} minutes, and ${found.record.lifecycleClass}: replaced once its machine is gone`;
    const news = { actor: COORDINATOR, reason, replace: true, abandon: false };
    return { ...(await endDraft(deps, found, news)), conditions: [lead] };
  });
  if (ended && ended.revision !== null) await deps.revocations.reached(ended.revision);
}

async function tellHeld({ records, log }: LossDeps, { group, silent, of }: Held): Promise<void> {
  const text = `${silent} of ${of} instances of ${group} are silent at once: none is replaced by itself`;
  const hint =
    'look at the network between them and this coordinator; then billet instance terminate ID --force, one by one';
  log.warn('many instances fell silent at once', { group, silent, of });
  const event = { actor: COORDINATOR, kind: 'instance.losses_held', subject: group };
  const details = { silent, of };
  await commitAll(records.store, [
    records.events.tell({ ...event, text: `${text}; ${hint}`, details }),
  ]);
}
