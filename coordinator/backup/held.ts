// Instances that are newer than a restored store: noticed when their nodes show what they have, held at
// it, and released by an operator. What counts as newer is decided in rules.ts.

import { BilletError } from '#shared/errors.ts';
import type { Heartbeat } from '#shared/schema/heartbeat.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { nodeActor } from '../events/records.ts';
import { isLive } from '../nodes/lifecycle.ts';
import { forgetChanges, generationChanges } from '../nodes/node-moves.ts';
import type { InstanceRecord } from '../nodes/records.ts';
import { advance } from '../nodes/rules.ts';
import type { Records } from '../records.ts';
import type { Change, Found } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import type { ReturnRecord } from './records.ts';
import { generationAfter, isAhead, shownByHeartbeat, shownByTags } from './rules.ts';

/**
 * What may be answered to a node that asks for its desired state and has those ETags: null for what is
 * stored, or the ETag that it shall keep. The first answer settles a node that is not newer. Throws
 * INSTANCE_AHEAD for one that is known to be newer and has nothing any more.
 */
export async function heldAt(
  records: Records,
  id: InstanceId,
  etags: ReadonlySet<string>,
): Promise<string | null> {
  if ((await records.returns.get(id)) === null) return null;
  const shown = shownByTags(etags, records.store.historyId);
  await transact(records.store, `instance ${id}`, async () => {
    const found = await records.returns.get(id);
    if (!found) return null;
    const changes =
      shown !== null && isAhead(shown, found.record)
        ? aheadChanges(records, found, shown)
        : found.record.ahead
          ? []
          : [records.returns.drop(id, found.revision)];
    return changes.length === 0 ? null : { changes, result: () => true };
  });
  if ((await records.returns.get(id)) === null) return null;
  const [etag] = etags;
  if (etag !== undefined) return etag;
  throw new BilletError('INSTANCE_AHEAD', `${id} was newer than the backup that was restored`, {
    hint: `billet instance accept ${id}, to give it what the coordinator has`,
  });
}

/** How a heartbeat of an instance is to be understood, and what it adds to the commit. */
export interface Heard {
  /** Without generations that this history has not given: their numbers may be given again. */
  readonly heartbeat: Heartbeat;
  readonly changes: readonly Change[];
}

export async function heardOf(
  records: Records,
  id: InstanceId,
  heartbeat: Heartbeat,
): Promise<Heard> {
  const found = await records.returns.get(id);
  const shown = shownByHeartbeat(heartbeat);
  if (!found || !(found.record.ahead || isAhead(shown, found.record)))
    return { heartbeat, changes: [] };
  const { staged: _, ...rest } = heartbeat;
  return {
    heartbeat: { ...rest, generation: 0, verdicts: [] },
    changes: isAhead(shown, found.record) ? aheadChanges(records, found, shown) : [],
  };
}

/** Nothing when that much is known. */
function aheadChanges(
  records: Records,
  { id, record, revision }: Found<ReturnRecord>,
  generation: number,
): readonly Change[] {
  if (record.ahead && record.ahead.generation >= generation) return [];
  const since = record.ahead?.since ?? records.clock.now();
  const told = record.ahead
    ? []
    : [
        records.events.tell({
          actor: nodeActor(id),
          kind: 'instance.ahead',
          subject: `instance/${id}`,
          text: `has generation ${generation}, the restored backup ${record.generation}: it is left alone until it is accepted`,
          details: { generation, known: record.generation },
        }),
      ];
  return [records.returns.put(id, { ...record, ahead: { generation, since } }, revision), ...told];
}

/**
 * Gives the instance what its node should be, as a generation that is newer than all that it has had.
 * Idempotent: one that is not ahead is returned as it is. NOT_FOUND.
 */
export async function acceptInstance(
  records: Records,
  actor: string,
  id: InstanceId,
): Promise<InstanceRecord> {
  const accepted = await transact(records.store, `instance ${id}`, async () => {
    const [found, back] = await Promise.all([records.instances.get(id), records.returns.get(id)]);
    if (!found) throw noInstance(id);
    if (!back?.record.ahead) return null;
    const node = await records.nodes.get(found.record.node);
    const dropped = records.returns.drop(id, back.revision);
    if (!node || !isLive(found.record.state))
      return { changes: [dropped], result: () => found.record };
    const has = back.record.ahead.generation;
    const generation = generationAfter(has, node.record.generation, found.record.generation);
    const next = advance(found.record, generation);
    return {
      changes: [
        dropped,
        records.nodes.put(node.id, { ...node.record, generation }, node.revision),
        records.instances.put(id, next, found.revision),
        ...generationChanges(records, next, node.record.derived),
        ...(await forgetChanges(records, found.record, next)),
        records.events.tell({
          actor,
          kind: 'instance.accepted',
          subject: `instance/${id}`,
          text: `had generation ${has}; should be generation ${generation} from now on`,
          details: { generation, had: has },
        }),
      ],
      result: () => next,
    };
  });
  if (accepted) return accepted;
  const found = await records.instances.get(id);
  if (!found) throw noInstance(id);
  return found.record;
}

/** Live instances that wait to be accepted. */
export async function countAhead(records: Records): Promise<number> {
  let count = 0;
  for await (const { id, record } of records.returns.all()) {
    const found = record.ahead && (await records.instances.get(id));
    if (found && isLive(found.record.state)) count += 1;
  }
  return count;
}

const noInstance = (id: InstanceId) =>
  new BilletError('NOT_FOUND', `no instance ${id}`, { hint: 'billet instance list' });
