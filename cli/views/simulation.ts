// How the result of a simulation looks to a person. Text only; asks nobody.

import { bytes, type Column, listing, table } from '../output.ts';
import type { Phase } from '../simulate/phase.ts';
import type { Simulation } from '../simulate/simulate.ts';

type Row = Phase & { readonly what: string };

const ms = (value: number | null): string => {
  if (value === null) return '-';
  return value < 1000 ? `${value.toFixed(1)} ms` : `${(value / 1000).toFixed(1)} s`;
};

const columns: readonly Column<Row>[] = [
  { header: 'PHASE', value: ({ what }) => what },
  { header: 'COUNT', value: ({ count }) => String(count) },
  { header: 'FAILED', value: ({ failed }) => String(failed) },
  { header: 'SECONDS', value: ({ seconds }) => seconds.toFixed(1) },
  { header: 'A SECOND', value: ({ perSecond }) => perSecond.toFixed(0) },
  { header: 'P50', value: ({ p50Ms }) => ms(p50Ms) },
  { header: 'P99', value: ({ p99Ms }) => ms(p99Ms) },
];

export function simulationLines(result: Simulation, width: number): readonly string[] {
  const rows: readonly Row[] = [
    { what: 'prepared', ...result.prepared },
    { what: 'enrolled', ...result.enrolled },
    { what: 'connected', ...result.connected },
    { what: 'heartbeats', ...result.heartbeats },
    { what: 'changed', ...result.changed },
    { what: 'events', ...result.events },
  ];
  const [limit] = result.limits;
  return [
    ...table(rows, columns, width, ''),
    '',
    ...listing(
      [
        ['change', `at all ${result.agents} after ${result.changed.seconds.toFixed(1)} s`],
        ['memory', `${bytes(result.bytesPerAgent)} an agent, in this process`],
        ...(limit === undefined
          ? []
          : [['limit', `${limit.agents} agents here, by ${limit.what}: ${limit.text}`] as const]),
        ['sent again', `${result.retries} requests`],
        ['lost', `${result.lost} channels`],
      ],
      width,
    ),
  ];
}
