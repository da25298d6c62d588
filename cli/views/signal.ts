// How a signal looks to a person: what was noticed, why it is likely so, and what comes next. Text only.

import type { Difference, Signal } from '#shared/schema/signal.ts';
import { ago, type Column, listing } from '../output.ts';

export const signalColumns = (nowMs: number): readonly Column<Signal>[] => [
  { header: 'SIGNAL', value: ({ id }) => id },
  { header: 'NODE', value: ({ node }) => node ?? '-', shrinks: true },
  { header: 'STATE', value: ({ state }) => state },
  { header: 'AGE', value: ({ openedAt }) => ago(openedAt, nowMs) },
  { header: 'REMEDY', value: ({ remedy }) => remedy.state },
  { header: 'CAUSE', value: ({ cause }) => cause, shrinks: true },
];

export function signalLines(signal: Signal, nowMs: number, width: number): readonly string[] {
  const { id, kind, node, instance, state, by, resolution, drift, policy } = signal;
  const pairs: [string, string][] = [
    ['signal', id],
    ['kind', kind],
    ['instance', node === null ? instance : `${instance} of ${node}`],
    ['state', `${state} for ${ago(signal.changedAt, nowMs)}${by === null ? '' : `, by ${by}`}`],
    ['opened', `${ago(signal.openedAt, nowMs)} ago, time ${signal.opening}`],
    ['what', signal.text],
  ];
  if (state === 'resolved') pairs.push(['resolved', resolution]);
  pairs.push(['cause', signal.cause], ['next', signal.hint]);
  for (const [set, list] of Object.entries(drift ?? {}))
    for (const one of list) pairs.push([set, differenceText(one)]);
  pairs.push(['policy', policy], ['remedy', remedyText(signal, nowMs)]);
  if (signal.remedy.task !== null) pairs.push(['task', signal.remedy.task]);
  return listing(pairs, width);
}

function differenceText({ module, wanted, running }: Difference): string {
  const is = running === null ? 'is not there' : `is ${running.version} (${running.state})`;
  const should = wanted === null ? 'should not be there' : `should be ${wanted.version}`;
  return `${module} ${is}, ${should}`;
}

function remedyText({ id, remedy }: Signal, nowMs: number): string {
  const { state, steps, taken, nextAt, approvedBy } = remedy;
  const order = `${steps.join(', then ')} (${taken} of ${steps.length} ordered)`;
  const approved = approvedBy === null ? '' : `, approved by ${approvedBy}`;
  switch (state) {
    case 'none':
      return steps.length === 0 ? 'none: a person has to look' : `none by itself: ${order}`;
    case 'asking':
      return `${order}; waits for: billet signal approve ${id}`;
    case 'due':
      return `${order}, the next ${inText(nextAt, nowMs)}${approved}`;
    case 'ordered':
      return `${order}, under way${approved}`;
    case 'exhausted':
      return `${order}, and it is still so; once more: billet signal approve ${id}`;
  }
}

function inText(at: string | null, nowMs: number): string {
  const seconds = at === null ? 0 : Math.round((Date.parse(at) - nowMs) / 1000);
  return seconds <= 0 ? 'with the next look' : `in ${seconds} s`;
}
