// Reads what is known of the machine that asks: the node that it is, and that node's instance. Writes
// nothing; what follows is decided in rules.ts.

import type { Facts } from '#shared/schema/facts.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { ownersOf } from '../../nodes/identifiers/observe.ts';
import { identifiersOfFacts } from '../../nodes/identifiers/rules.ts';
import type { InstanceRecord, NodeRecord } from '../../nodes/records.ts';
import type { Records } from '../../records.ts';
import type { Found } from '../../store/collection.ts';
import { type Judgement, judge } from './rules.ts';

/** What a machine says of itself. */
export interface Shown {
  readonly facts: Facts;
  readonly instance: InstanceId | null;
}

export interface Settings {
  /** Whether anybody is let in without a person. */
  readonly autoApprove: boolean;
}

export type Judged =
  | Extract<Judgement, { kind: 'wait' }>
  | (Omit<Extract<Judgement, { kind: 'approve' }>, 'node'> & {
      readonly node: Found<NodeRecord>;
      /** Null: it is to be made. */
      readonly instance: Found<InstanceRecord> | null;
    });

export async function judgeMachine(
  records: Records,
  { facts, instance: told }: Shown,
  settings: Settings,
): Promise<Judged> {
  const { matches, node } = await ownersOf(records, identifiersOfFacts(facts));
  const id = node?.record.instance ?? null;
  const [instance, back] =
    id === null
      ? [null, null]
      : await Promise.all([records.instances.get(id), records.returns.get(id)]);
  const judged = judge(
    {
      matches,
      node: node?.record ?? null,
      instance: instance?.record ?? null,
      isRestored: back !== null,
      told,
    },
    settings,
  );
  if (judged.kind === 'wait' || !node) return judged as Extract<Judged, { kind: 'wait' }>;
  return { kind: 'approve', identifier: judged.identifier, node, instance };
}
