// Do the modules of a node go together? What their signed labels require has to be there, and nobody
// may wait for himself. Pure.

import { BilletError } from '../../errors.ts';
import type { ModuleLabel } from '../../schema/module.ts';

export interface Requirements {
  /** The node, for hints. */
  readonly node: string;
  /** Names of all modules of its generation. */
  readonly present: readonly string[];
  /** Of those of them that are in hand. */
  readonly labels: readonly Pick<ModuleLabel, 'name' | 'requires'>[];
}

/** Throws MODULE_INVALID, naming the modules, for a requirement that is missing and for a circle. */
export function assertRequirements({ node, present, labels }: Requirements): void {
  const known = new Set(present);
  const required = new Map<string, readonly string[]>(
    labels.map(({ name, requires }) => [name, requires]),
  );
  for (const [name, requires] of required)
    for (const missing of requires)
      if (!known.has(missing))
        throw new BilletError(
          'MODULE_INVALID',
          `module ${name} requires ${missing}, which is not part of the node`,
          { hint: `add ${missing} to the modules of ${node}`, details: { module: name, missing } },
        );
  const circle = findCircle(required);
  if (circle === null) return;
  throw new BilletError('MODULE_INVALID', `modules require each other: ${circle.join(' -> ')}`, {
    hint: `take one of them out of "requires" of the one before it, and seal and sign that again`,
    details: { circle },
  });
}

/** The first circle, as `a -> b -> a`; null without one. Depth first, in the order of the names. */
function findCircle(required: ReadonlyMap<string, readonly string[]>): string[] | null {
  const clear = new Set<string>();
  const visit = (name: string, path: readonly string[]): string[] | null => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (clear.has(name)) return null;
    for (const next of required.get(name) ?? []) {
      const circle = visit(next, [...path, name]);
      if (circle !== null) return circle;
    }
    clear.add(name);
    return null;
  };
  for (const name of [...required.keys()].sort()) {
    const circle = visit(name, []);
    if (circle !== null) return circle;
  }
  return null;
}
