// Who names a record: what keeps it from being deleted. Reads all that might; a deletion is rare, and
// an index would be written with every node.

import { BilletError } from '#shared/errors.ts';
import { type CatalogKind, type Kind, referencesOf, usersOf } from '#shared/schema/catalog.ts';
import type { Records } from '../records.ts';
import { sourceOf } from './records.ts';

const NAMED = 10;

export interface Users {
  /** The first ten, as `node/web-1`. */
  readonly named: readonly string[];
  readonly count: number;
}

/** Everything that names the record. */
export async function findUsers(records: Records, kind: CatalogKind, name: string): Promise<Users> {
  const named: string[] = [];
  let count = 0;
  for (const user of usersOf(kind))
    for await (const { id, record } of recordsOf(records, user))
      if (referencesOf(user, record.spec).some((one) => one.kind === kind && one.name === name)) {
        count += 1;
        if (named.length < NAMED) named.push(`${user}/${id}`);
      }
  if (kind === 'publication') {
    const found = await records.catalog.publication.get(name);
    const platform = found && (await records.catalog.platform.get(found.record.spec.platform));
    if (platform?.record.current === name) {
      count += 1;
      named.unshift(`platform/${platform.id}`);
    }
  }
  return { named, count };
}

export const inUse = (kind: CatalogKind, name: string, { named, count }: Users): BilletError =>
  new BilletError(
    'IN_USE',
    `the ${kind} ${name} is used by ${named.join(', ')}${count > named.length ? ` and ${count - named.length} more` : ''}`,
    {
      hint:
        kind === 'publication'
          ? `let them name another, or \`billet publication retire ${name}\``
          : `let them name another ${kind}, or delete them first`,
      details: { kind, name, users: named, count },
    },
  );

const recordsOf = (
  records: Records,
  kind: Kind,
): AsyncIterable<{
  readonly id: string;
  readonly record: { readonly spec: Readonly<Record<string, unknown>> };
}> => (kind === 'node' ? records.nodes.all() : sourceOf(records.catalog, kind).all());
