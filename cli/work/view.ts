// What `billet work` prints: areas against their budget, and what would go.

import { basename } from 'node:path';
import { ago, bytes, table } from '../output.ts';
import type { Removed } from './apply.ts';
import type { AreaSum, Item, Judgement } from './gc.ts';

const LONGEST = 12;

export const statusLines = (
  sums: readonly AreaSum[],
  judgements: readonly Judgement[],
  width: number,
): readonly string[] => [
  ...table(
    sums,
    [
      { header: 'area', value: ({ area }) => area },
      { header: 'size', value: (sum) => bytes(sum.bytes) },
      { header: 'budget', value: ({ limitBytes }) => bytes(limitBytes) },
      { header: 'items', value: ({ items }) => String(items) },
      { header: 'can go', value: ({ freeableBytes }) => bytes(freeableBytes) },
      { header: '', value: ({ over }) => (over ? 'OVER' : '') },
    ],
    width,
    'nothing',
  ),
  ...(judgements.length === 0 ? [] : ['', ...largest(judgements, width)]),
];

function largest(judgements: readonly Judgement[], width: number): readonly string[] {
  const bySize = [...judgements].sort((a, b) => b.item.bytes - a.item.bytes);
  const rest = bySize.slice(LONGEST);
  const sum = rest.reduce((all, { item }) => all + item.bytes, 0);
  return [
    ...itemTable(bySize.slice(0, LONGEST), width),
    ...(rest.length === 0 ? [] : [`and ${rest.length} more, ${bytes(sum)}`]),
  ];
}

const itemTable = (judgements: readonly Judgement[], width: number) =>
  table(
    judgements,
    [
      { header: 'size', value: ({ item }) => bytes(item.bytes) },
      { header: 'age', value: ({ item }) => ageOf(item) },
      { header: 'verdict', value: ({ why }) => why },
      { header: 'name', value: ({ item }) => nameOf(item), shrinks: true },
    ],
    width,
    'nothing can go',
  );

export const pruneLines = (judgements: readonly Judgement[], width: number): readonly string[] => {
  const going = judgements.filter(({ goes }) => goes);
  const sum = going.reduce((all, { item }) => all + item.bytes, 0);
  return [
    ...itemTable(going, width),
    ...(going.length === 0
      ? []
      : ['', `${bytes(sum)} would be freed. Nothing was removed: billet work prune --apply`]),
  ];
};

export function removedLines(removed: readonly Removed[]): readonly string[] {
  const gone = removed.filter(({ kept }) => kept === null);
  const sum = gone.reduce((all, one) => all + one.bytes, 0);
  return [
    ...removed.map(({ path, kept }) =>
      kept === null ? `removed ${path}` : `kept ${path}: ${kept}`,
    ),
    `${bytes(sum)} freed`,
  ];
}

/** Short enough for a terminal; --json has the paths. */
const nameOf = ({ area, kind, path }: Item) =>
  area === 'evidence' ? `${kind}/${basename(path)}` : basename(path);

const ageOf = ({ ageMs }: Item) => ago(new Date(0).toISOString(), ageMs);
