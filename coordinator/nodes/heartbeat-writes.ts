// What a heartbeat makes of an instance: which changes are worth a write, what follows from them,
// and the one commit that records them. Plain heartbeats never come here.

import type { Heartbeat } from '#shared/schema/heartbeat.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { heardOf } from '../backup/held.ts';
import { drainAgain } from '../drain/drain-news.ts';
import { COORDINATOR, type News, nodeActor } from '../events/records.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { bootSteps } from '../tasks/lease-writes.ts';
import { stepChanges } from '../tasks/task-writes.ts';
import { after } from './lifecycle.ts';
import { forgetChanges } from './node-moves.ts';
import { preempted } from './preemption.ts';
import { enter, type InstanceRecord } from './records.ts';
import { confirm, reject } from './rules.ts';
import { revokeTokenChanges } from './token-writes.ts';

/**
 * Equal for two heartbeats that say the same: what only moves (load, memory, uptime, times, texts of
 * conditions) is left out.
 */
export const significance = (heartbeat: Heartbeat): string =>
  JSON.stringify([
    heartbeat.bootId,
    heartbeat.agentVersion,
    heartbeat.phase,
    heartbeat.generation,
    heartbeat.systemImage,
    heartbeat.staged,
    heartbeat.modules?.map(({ name, manifest, image, state }) => [name, manifest, image, state]),
    heartbeat.verdicts?.map(({ generation, verdict }) => [generation, verdict]),
    heartbeat.lastReconcile?.code,
    heartbeat.lastReconcile?.outcome === 'failed',
    heartbeat.conditions.map(({ code }) => code).sort(),
    heartbeat.preemption?.endsAt,
    heartbeat.containers,
  ]);

/** The instance after it said this, and what is to be told of it. */
function absorb(
  before: InstanceRecord,
  heartbeat: Heartbeat,
  now: number,
): { readonly next: InstanceRecord; readonly news: readonly Omit<News, 'subject'>[] } {
  const actor = nodeActor(before.id);
  const news: Omit<News, 'subject'>[] = [];
  let next = before;
  if (heartbeat.bootId !== before.bootId) {
    // The boot that was ordered has taken place, also when a surviving key needed no token.
    const boot = { ordered: false, token: null };
    next = { ...next, bootId: heartbeat.bootId, boot, drained: false };
    news.push({ actor, kind: 'instance.booted', text: `booted as ${heartbeat.bootId}` });
  }
  for (const { generation, verdict, reason } of heartbeat.verdicts ?? []) {
    const rejected = verdict === 'rejected' ? reject(next, generation, reason) : next;
    if (rejected === next) continue;
    next = rejected;
    const text = `generation ${generation} was rejected: ${reason}`;
    news.push({ actor, kind: 'generation.rejected', text, details: { generation } });
  }
  const { preemption } = heartbeat;
  const notice = preemption && preempted(next, Date.parse(preemption.endsAt), now);
  if (notice) {
    next = notice.next;
    news.push({ actor, kind: 'instance.preempted', text: notice.text });
  }
  const runs = heartbeat.modules?.find(({ state }) => state === 'attached');
  if (next.drained && runs) {
    next = { ...next, drained: false };
    const text = `${before.id} was drained, and ${runs.name} runs on it`;
    news.push({ actor, kind: 'instance.not_empty', text });
  }
  // It restarts by itself, into a generation that was good: a node without a disk needs a token then.
  const restarts = heartbeat.conditions.some(({ code }) => code === 'GOING_BACK');
  if (restarts && !next.boot.ordered) next = { ...next, boot: { ...next.boot, ordered: true } };
  // The report of the end may have been lost: what runs its system image is installed, or went on without.
  if (next.state === 'installing' && heartbeat.phase !== 'booting')
    next = enter(next, after(next.state, 'installed'), now);
  if (heartbeat.phase !== 'ready') return { next, news };
  const { generation } = heartbeat;
  const confirmed = generation > 0 ? confirm(next, generation) : next;
  if (confirmed !== next) {
    next = confirmed;
    const text = `generation ${generation} was seen ready`;
    const details = { generation };
    news.push({ actor: COORDINATOR, kind: 'generation.confirmed', text, details });
  }
  const state = after(next.state, 'ready');
  if (state !== next.state && next.goods.includes(generation)) {
    next = enter(next, state, now);
    news.push({ actor: COORDINATOR, kind: `instance.${state}`, text: `${next.node} is ${state}` });
  }
  return { next, news };
}

/** Writes a heartbeat that says something new, with all that follows from it, in one commit. */
export async function recordHeartbeat(
  records: Records,
  id: InstanceId,
  heartbeat: Heartbeat,
): Promise<void> {
  await transact(records.store, `instance ${id}`, async () => {
    const [found, last] = await Promise.all([
      records.instances.get(id),
      records.heartbeats.get(id),
    ]);
    if (!found) return null;
    const now = records.clock.now();
    const heard = await heardOf(records, id, heartbeat);
    const { next, news } = absorb(found.record, heard.heartbeat, now);
    const changes: Change[] = [
      ...heard.changes,
      records.heartbeats.put(id, { heartbeat, at: now }, last?.revision ?? ABSENT),
    ];
    if (next !== found.record) {
      changes.push(records.instances.put(id, next, found.revision));
      changes.push(...(await forgetChanges(records, found.record, next)));
    }
    if (next.bootId !== found.record.bootId && next.bootId !== null) {
      const steps = await bootSteps(records, id, next.bootId);
      const again = await drainAgain(records, id);
      const added = again === null ? [] : [again.task];
      changes.push(...(await stepChanges(records, id, steps, added)), ...(again?.changes ?? []));
    }
    const unused = next.boot.token === null ? found.record.boot.token : null;
    if (unused !== null) changes.push(...(await revokeTokenChanges(records, unused)));
    const told = news.length > 0 ? news : [reported(id, heartbeat)];
    const subject = `instance/${id}`;
    changes.push(...told.map((one) => records.events.tell({ ...one, subject })));
    return { changes, result: () => true };
  });
}

const reported = (id: InstanceId, heartbeat: Heartbeat): Omit<News, 'subject'> => ({
  actor: nodeActor(id),
  kind: 'instance.reported',
  text: `${heartbeat.phase} at generation ${heartbeat.generation}`,
  details: {
    phase: heartbeat.phase,
    generation: heartbeat.generation,
    conditions: heartbeat.conditions.map(({ code }) => code),
  },
});
