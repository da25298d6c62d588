// Looks up what a machine shows in the index of machines: a few reads, and no write. What follows is
// decided in rules.ts.

import type { Facts } from '#shared/schema/facts.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { identifierKey, identifiersOfFacts } from '../../nodes/identifiers/rules.ts';
import type { InstanceRecord, NodeRecord } from '../../nodes/records.ts';
import type { Records } from '../../records.ts';
import type { Found } from '../../store/collection.ts';
import { type Judgement, judge, type Sight } from './rules.ts';

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
  const matches: Sight['matches'][number][] = [];
  for (const identifier of identifiersOfFacts(facts)) {
    const entry = await records.machines.get(identifierKey(identifier));
    if (entry) matches.push({ identifier, node: entry.record.node });
  }
  const names = new Set(matches.map(({ node }) => node));
  const [name] = names;
  const node = name && names.size === 1 ? await records.nodes.get(name) : null;
  const id = node?.record.instance ?? null;
  const [instance, back] =
    id === null
      ? [null, null]
      : await Promise.all([records.instances.get(id), records.returns.get(id)]);
  const judged = judge(
    {
      matches: node === null && names.size === 1 ? [] : matches,
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
