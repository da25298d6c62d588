// Parts of commits that bring a node's next generation to its instance, and tell of it. What a node
// should be is decided before.

import { isDeepStrictEqual } from 'node:util';
import type { Derived } from '#shared/schema/records.ts';
import { wantedOf } from '../catalog/rules.ts';
import { newInstallEventId } from '../ids.ts';
import { firstOrder, orderOf } from '../installs/rules.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change, type Found } from '../store/collection.ts';
import { desiredEnvelope } from './desired.ts';
import { isLive } from './lifecycle.ts';
import { generationKey, type InstanceRecord, type NodeRecord } from './records.ts';
import { advance } from './rules.ts';

/** The bytes of the record's generation, and the instance that is to have them. */
export function generationChanges(
  records: Records,
  instance: InstanceRecord,
  derived: Derived,
): readonly Change[] {
  const { id, node, generation } = instance;
  const install = orderOf(instance.install, derived.install);
  const history = records.store.historyId;
  const envelope = desiredEnvelope({
    ...{ history, instance: id, node, generation, derived, install },
  });
  return [records.desired.put(generationKey(id, generation), envelope, ABSENT)];
}

/** Deletes the bytes that `next` no longer keeps. */
export async function forgetChanges(
  records: Records,
  before: InstanceRecord,
  next: InstanceRecord,
): Promise<readonly Change[]> {
  const gone = before.kept.filter((generation) => !next.kept.includes(generation));
  const found = await Promise.all(
    gone.map((generation) => records.desired.get(generationKey(before.id, generation))),
  );
  return found.flatMap((one) => (one ? [records.desired.drop(one.id, one.revision)] : []));
}

/** The node's generation, for its live instance. */
export async function instanceChanges(
  records: Records,
  node: NodeRecord,
): Promise<readonly Change[]> {
  const found = node.instance === null ? null : await records.instances.get(node.instance);
  if (!found || !isLive(found.record.state)) return [];
  const install = found.record.install ?? orderFor(found.record, node, records.clock.now());
  const next = advance({ ...found.record, install }, node.generation);
  return [
    records.instances.put(found.id, next, found.revision),
    ...generationChanges(records, next, node.derived),
    ...(await forgetChanges(records, found.record, next)),
  ];
}

/** A plan that comes before the machine is one that it was made with. */
const orderFor = ({ certificate, state }: InstanceRecord, { derived }: NodeRecord, now: number) =>
  certificate === null && (state === 'pending' || state === 'provisioning')
    ? firstOrder(newInstallEventId(), derived, now)
    : null;

/** The node comes to `derived` from now on: its next generation, if that concerns the machine. */
export async function nodeMoved(
  records: Records,
  { actor, because }: { readonly actor: string; readonly because: string },
  { id, record, revision }: Found<NodeRecord>,
  derived: Derived,
): Promise<readonly Change[]> {
  if (isDeepStrictEqual(wantedOf(derived), wantedOf(record.derived)))
    return [records.nodes.put(id, { ...record, derived }, revision)];
  const generation = record.generation + 1;
  const next = { ...record, derived, generation };
  return [
    records.nodes.put(id, next, revision),
    ...(await instanceChanges(records, next)),
    records.events.tell({
      actor,
      kind: 'node.changed',
      subject: `node/${id}`,
      text: `node ${id} should be generation ${generation}: ${because} changed`,
      details: { generation, because },
    }),
  ];
}

/** The lifecycle class that the first instance settled; null before it. */
export const fixedClass = ({ lives, derived }: NodeRecord) =>
  lives > 0 ? derived.lifecycleClass : null;
