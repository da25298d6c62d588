// Which of the things on the disk may go: keeps the newest of each kind, all that may be in use, and
// whatever a link points at. Pure: ages and sizes in, a verdict for each out.

export const AREAS = ['cache', 'evidence', 'output'] as const;
export type Area = (typeof AREAS)[number];

export interface Item {
  readonly area: Area;
  /** Of those of a kind, the newest are kept: a kind of cache entry, a folder of evidence. */
  readonly kind: string;
  /** Absolute. */
  readonly path: string;
  readonly bytes: number;
  /** Milliseconds since it was used or written last. */
  readonly ageMs: number;
  /** Why it stays whatever its age: in use, pointed at, not Billet's to remove; null otherwise. */
  readonly held: string | null;
}

export interface Judgement {
  readonly item: Item;
  readonly goes: boolean;
  /** One or two words for a person. */
  readonly why: string;
}

export interface Limits {
  /** Newest of each kind that stay. */
  readonly keep: number;
  /** Younger than this stays: somebody may be using it. */
  readonly inUseMs: number;
}

/**
 * In the order of `items`. What is left over of a dead writer (kind `partial`) goes at any age, and of
 * what a tool writes anew (area `output`) nothing stays for being the newest.
 */
export function judgeItems(items: readonly Item[], limits: Limits): readonly Judgement[] {
  const rank = ranks(items);
  return items.map((item) => {
    const stays = reasonToStay(item, rank.get(item) ?? 0, limits);
    return { item, goes: stays === null, why: stays ?? 'can go' };
  });
}

function reasonToStay(item: Item, rank: number, { keep, inUseMs }: Limits): string | null {
  if (item.held !== null) return item.held;
  if (item.kind === 'partial') return null;
  if (rank < keep && item.area !== 'output') return 'among the newest';
  return item.ageMs < inUseMs ? 'used lately' : null;
}

/** 0 for the newest of its kind. */
function ranks(items: readonly Item[]): ReadonlyMap<Item, number> {
  const seen = new Map<string, number>();
  const byAge = [...items].sort((a, b) => a.ageMs - b.ageMs);
  return new Map(
    byAge.map((item) => {
      const key = `${item.area} ${item.kind}`;
      const rank = seen.get(key) ?? 0;
      seen.set(key, rank + 1);
      return [item, rank];
    }),
  );
}

export interface AreaSum {
  readonly area: Area;
  readonly bytes: number;
  readonly items: number;
  /** Of what can go. */
  readonly freeableBytes: number;
  readonly limitBytes: number;
  readonly over: boolean;
}

export const areaSums = (
  judgements: readonly Judgement[],
  limitBytes: Readonly<Record<Area, number>>,
): readonly AreaSum[] =>
  AREAS.map((area) => {
    const own = judgements.filter(({ item }) => item.area === area);
    const sum = (some: readonly Judgement[]) => some.reduce((all, { item }) => all + item.bytes, 0);
    const bytes = sum(own);
    return {
      ...{ area, bytes, items: own.length, limitBytes: limitBytes[area] },
      freeableBytes: sum(own.filter(({ goes }) => goes)),
      over: bytes > limitBytes[area],
    };
  });
