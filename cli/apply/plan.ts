// What `billet apply` would do: documents against what the coordinator has. Pure; who asks the
// coordinator, and who writes, is elsewhere.

import { KINDS, type Kind } from '#shared/schema/catalog.ts';

type Spec = Readonly<Record<string, unknown>>;

export interface Wanted {
  readonly kind: Kind;
  readonly name: string;
  readonly spec: Spec;
}

export interface Existing extends Wanted {
  readonly revision: number;
  /** The set whose `apply` made it. */
  readonly set: string | null;
}

export type Step =
  | { readonly action: 'create'; readonly kind: Kind; readonly name: string; readonly spec: Spec }
  | {
      readonly action: 'change';
      readonly kind: Kind;
      readonly name: string;
      readonly before: Spec;
      readonly spec: Spec;
      /** For If-Match: another operator's change in between is a CONFLICT. */
      readonly revision: number;
    }
  | {
      readonly action: 'delete';
      readonly kind: Kind;
      readonly name: string;
      readonly before: Spec;
    };

export interface Plan {
  readonly steps: readonly Step[];
  /** Records that are as written already. */
  readonly same: number;
}

/**
 * Steps in an order in which they can be done: nodes that go, which nothing names, and whose machines
 * others may get; then what is made or changed, each after what it names; then the rest that goes,
 * each before what it names. `of` are the existing records of the set, when it is to be pruned.
 */
export function planApply(
  wanted: readonly Wanted[],
  existing: readonly Existing[],
  prune: readonly Existing[],
): Plan {
  const keyOf = ({ kind, name }: Pick<Wanted, 'kind' | 'name'>) => `${kind}/${name}`;
  const there = new Map(existing.map((one) => [keyOf(one), one]));
  const kept = new Set(wanted.map(keyOf));
  const changes = inOrder(wanted).flatMap(({ kind, name, spec }): readonly Step[] => {
    const before = there.get(keyOf({ kind, name }));
    if (before === undefined) return [{ action: 'create', kind, name, spec }];
    if (equal(before.spec, spec)) return [];
    const { revision } = before;
    return [{ action: 'change', kind, name, before: before.spec, spec, revision }];
  });
  const deletions = inOrder(prune.filter((one) => !kept.has(keyOf(one))))
    .reverse()
    .map(({ kind, name, spec }): Step => ({ action: 'delete', kind, name, before: spec }));
  return {
    steps: [
      ...deletions.filter(({ kind }) => kind === 'node'),
      ...changes,
      ...deletions.filter(({ kind }) => kind !== 'node'),
    ],
    same: wanted.length - changes.length,
  };
}

/** Each kind names only kinds before it. */
const inOrder = <T extends Wanted>(records: readonly T[]): T[] =>
  [...records].sort(
    (a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || (a.name < b.name ? -1 : 1),
  );

/** JSON values, whatever the order of their keys. */
function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Spec, b as Spec];
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && equal(left[key], right[key]))
  );
}
