// How capacity looks to a person. Text only; asks nobody.

import type { Capacity, Room, StateCounts } from '#shared/schema/capacity.ts';
import { type Column, listing, table } from '../output.ts';

const room: readonly Column<Room>[] = [
  {
    header: 'MACHINES',
    value: ({ used, max }) => (max === null ? String(used) : `${used}/${max}`),
  },
  { header: 'FREE', value: ({ free }) => (free === null ? 'no limit' : String(free)) },
];

const providers: readonly Column<Capacity['providers'][number]>[] = [
  { header: 'PROVIDER', value: ({ name }) => name },
  { header: 'MODE', value: ({ mode }) => mode },
  ...room,
];

const regions: readonly Column<Capacity['regions'][number]>[] = [
  { header: 'REGION', value: ({ name }) => name, shrinks: true },
  { header: 'PROVIDER', value: ({ provider }) => provider },
  ...room,
  { header: 'BY', value: ({ bound }) => bound ?? '-', shrinks: true },
];

const pools: readonly Column<Capacity['pools'][number]>[] = [
  { header: 'POOL', value: ({ name }) => name, shrinks: true },
  { header: 'NODES', value: ({ nodes }) => String(nodes) },
  { header: 'STATES', value: ({ states }) => statesText(states), shrinks: true },
  { header: 'WARM', value: ({ warm }) => `${warm.ready}/${warm.wanted}` },
  { header: 'FREE', value: ({ free }) => (free === null ? 'no limit' : String(free)) },
  { header: 'BY', value: ({ bound }) => bound ?? '-', shrinks: true },
];

export function capacityLines(capacity: Capacity, width: number): readonly string[] {
  const { nodes, states, findings } = capacity;
  return [
    ...listing(
      [
        ['nodes', `${nodes.total}, ${nodes.withoutInstance} of them without an instance`],
        ['instances', statesText(states)],
      ],
      width,
    ),
    '',
    ...table(capacity.providers, providers, width, 'no providers'),
    '',
    ...table(capacity.regions, regions, width, 'no regions'),
    '',
    ...table(capacity.pools, pools, width, 'no pools'),
    ...findings.flatMap(({ text, hint }) => [
      '',
      ...listing(
        [
          ['finding', text],
          ['hint', hint],
        ],
        width,
      ),
    ]),
  ];
}

const statesText = (states: StateCounts): string =>
  Object.entries(states)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ') || 'none';
