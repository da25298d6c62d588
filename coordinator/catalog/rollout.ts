// Brings a changed template, platform, class or pool to the nodes that are made from it: a new
// generation each, some nodes a commit. How far it has come stands in the store, so that another
// coordinator, or this one after a crash, goes on from there.

import { isDeepStrictEqual } from 'node:util';
import { BilletError } from '#shared/errors.ts';
import type { CatalogKind } from '#shared/schema/catalog.ts';
import type { ResourceName } from '#shared/schema/ids.ts';
import { COORDINATOR } from '../events/records.ts';
import { fixedClass, nodeMoved } from '../nodes/node-moves.ts';
import type { NodeRecord } from '../nodes/records.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change, type Found } from '../store/collection.ts';
import { MAX_KEYS } from '../store/limits.ts';
import { transact } from '../store/transact.ts';
import type { RolloutRecord } from './records.ts';
import { dependsOn } from './rules.ts';
import { type SourceReader, sourceReader } from './sources.ts';

/** Nodes looked at a step. */
const PAGE = 200;
/** Of a commit: the rollout itself, and its last event. */
const OWN_KEYS = 2;

const keyOf = (kind: CatalogKind, name: string) => `${kind}.${name}`;

/** Part of the commit that changes the record: its nodes are to follow, from the first one on. */
export async function rolloutChange(
  { rollouts }: Records,
  of: { readonly kind: CatalogKind; readonly name: ResourceName; readonly actor: string },
): Promise<Change> {
  const found = await rollouts.get(keyOf(of.kind, of.name));
  const record = { ...of, after: '', moved: 0 };
  return rollouts.put(keyOf(of.kind, of.name), record, found?.revision ?? ABSENT);
}

/** Ends what is begun. What contends with others is left for the next call. */
export async function finishRollouts(records: Records, signal?: AbortSignal): Promise<void> {
  for await (const { id } of records.rollouts.all())
    while (signal?.aborted !== true && (await rolloutStep(records, id)));
}

/** One commit of a rollout; false when it is over. CONTENDED. */
export async function rolloutStep(records: Records, id: string): Promise<boolean> {
  const more = await transact(records.store, `rollout ${id}`, async () => {
    const found = await records.rollouts.get(id);
    if (found === null) return null;
    const reader = sourceReader(records.catalog, { fresh: false });
    const batch = await collect(records, found.record, reader);
    const { after, changes, moved } = batch;
    const record = { ...found.record, after: after ?? '', moved: found.record.moved + moved };
    return {
      changes:
        after === null
          ? [...changes, records.rollouts.drop(id, found.revision), finished(records, record)]
          : [...changes, records.rollouts.put(id, record, found.revision)],
      conditions: reader.conditions(),
      result: () => after !== null,
    };
  });
  return more ?? false;
}

interface Batch {
  readonly changes: readonly Change[];
  readonly moved: number;
  /** The last node that is done; null when all are. */
  readonly after: string | null;
}

/** As many nodes as one commit takes, with what was read for them. */
async function collect(
  records: Records,
  rollout: RolloutRecord,
  reader: SourceReader,
): Promise<Batch> {
  const from = rollout.after === '' ? {} : { after: rollout.after };
  const page = await records.nodes.list({ limit: PAGE, ...from });
  const changes: Change[] = [];
  let moved = 0;
  let after = rollout.after;
  for (const found of page.items) {
    const next = await follow(records, rollout, found, reader);
    const keys = changes.length + next.length + OWN_KEYS + reader.conditions().length;
    if (keys > MAX_KEYS && changes.length > 0) return { changes, moved, after };
    changes.push(...next);
    moved += next.length > 0 ? 1 : 0;
    after = found.id;
  }
  return { changes, moved, after: page.next === null ? null : after };
}

/** What a node has to be from now on; nothing when it is that already. */
async function follow(
  records: Records,
  { kind, name, actor }: RolloutRecord,
  found: Found<NodeRecord>,
  reader: SourceReader,
): Promise<readonly Change[]> {
  const { record } = found;
  if (kind === 'node' || !dependsOn(record, kind, name)) return [];
  const because = `${kind}/${name}`;
  try {
    const derived = await reader.derive(`node ${record.name}`, record.spec, fixedClass(record));
    if (isDeepStrictEqual(derived, record.derived)) return [];
    return await nodeMoved(records, { actor, because }, found, derived);
  } catch (error) {
    if (!(error instanceof BilletError) || !UNFIT.includes(error.code)) throw error;
    return [
      records.events.tell({
        actor: COORDINATOR,
        kind: 'node.left_behind',
        subject: `node/${record.name}`,
        text: `node ${record.name} stays as it is: ${error.message}`,
        details: { because, code: error.code, hint: error.hint },
      }),
    ];
  }
}

/** What stands between one node and the change, and does not concern the others. */
const UNFIT: readonly string[] = ['REFERENCE_INVALID', 'STORE_LIMIT'];

const finished = (records: Records, { kind, name, moved, actor }: RolloutRecord) =>
  records.events.tell({
    actor,
    kind: `${kind.replaceAll('-', '')}.rolled_out`,
    subject: `${kind}/${name}`,
    text: `${moved} nodes follow the ${kind} ${name}`,
    details: { moved },
  });
