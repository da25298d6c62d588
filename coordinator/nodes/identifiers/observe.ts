// Looks up in the index of machines what one of them shows of itself, whichever way it asks to be let in:
// by a network boot, or by a claim. A few reads, and no write; what follows is decided by who asks.

import type { NodeName } from '#shared/schema/ids.ts';
import type { Records } from '../../records.ts';
import type { Found } from '../../store/collection.ts';
import type { NodeRecord } from '../records.ts';
import { type Identifier, identifierKey, type Match } from './rules.ts';

interface Owners {
  /** In the order of the identifiers. An entry whose node is gone is none. */
  readonly matches: readonly Match[];
  /** The only node that they point to; null where it is none, or several. */
  readonly node: Found<NodeRecord> | null;
}

export async function ownersOf(
  records: Records,
  identifiers: readonly Identifier[],
): Promise<Owners> {
  const matches: Match[] = [];
  const nodes = new Map<NodeName, Found<NodeRecord>>();
  for (const identifier of identifiers) {
    const entry = await records.machines.get(identifierKey(identifier));
    const name = entry?.record.node;
    const node = name && (nodes.get(name) ?? (await records.nodes.get(name)));
    if (!node) continue;
    nodes.set(name, node);
    matches.push({ identifier, node: name });
  }
  const [node = null] = nodes.size === 1 ? nodes.values() : [];
  return { matches, node };
}
