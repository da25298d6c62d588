// The order in which service modules stop: what needs another one goes before it. Pure; names no
// module that it was not given.

import type { ModuleName } from '#shared/schema/module.ts';

export interface Stopping {
  readonly name: ModuleName;
  /** Modules that it cannot do without. */
  readonly requires: readonly ModuleName[];
}

/** Dependents first, else by name. Of a circle, the first by name goes first. */
export function stopOrder(modules: readonly Stopping[]): readonly ModuleName[] {
  const left = [...modules].sort((a, b) => (a.name < b.name ? -1 : 1));
  const order: ModuleName[] = [];
  while (left.length > 0) {
    const free = left.findIndex(
      ({ name }) => !left.some((other) => other.name !== name && other.requires.includes(name)),
    );
    order.push(...left.splice(Math.max(0, free), 1).map(({ name }) => name));
  }
  return order;
}
