// How a drain looks to a person. Text only; asks nobody.

import type { Drain } from '#shared/schema/drain.ts';
import { ago, listing, table } from '../output.ts';

export function drainLines(drain: Drain, nowMs: number, width: number): readonly string[] {
  const { state, cordonOnly, timeoutSeconds, orderedAt, orderedBy, task, message, report } = drain;
  const what = cordonOnly ? 'cordon only' : `${timeoutSeconds} s`;
  const pairs: [string, string][] = [
    ['drain', `${state} (${what}), by ${orderedBy} ${ago(orderedAt, nowMs)} ago`],
    ['task', task],
  ];
  for (const line of report?.done ?? []) pairs.push(['did', line]);
  if (message !== null && (report?.stayed ?? []).length === 0) pairs.push(['why', message]);
  if (report === null || report.stayed.length === 0) return listing(pairs, width);
  const rows = table(
    report.stayed,
    [
      { header: 'STAYED', value: ({ kind }) => kind },
      { header: 'NAME', value: ({ name }) => name, shrinks: true },
      { header: 'REASON', value: ({ reason }) => reason, shrinks: true },
    ],
    width,
    '',
  );
  const more = report.more > 0 ? [`and ${report.more} more`] : [];
  return [...listing(pairs, width), '', ...rows, ...more];
}
