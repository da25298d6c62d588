// Drains the node, or takes that back. What is left at the end of a drain makes it a failed task whose
// report names it.

import type { DrainReport } from '#shared/schema/drain.ts';
import type { TaskOutcome } from '#shared/schema/task.ts';
import { type DrainDeps, drain } from '../drain/drain.ts';
import { uncordon } from '../drain/uncordon.ts';
import type { TaskKind } from './kind.ts';
import { specOf } from './spec.ts';

export const drainTask = (deps: DrainDeps): TaskKind => ({
  kind: 'drain',
  async run(task, signal) {
    const { kind: _, ...order } = specOf(task, 'drain');
    const report = await drain(task.id, order, deps, signal);
    const message = report.stayed.length === 0 ? null : leftText(report);
    if (message === null) return { outcome: 'succeeded', drain: report };
    return { outcome: 'failed', code: 'DRAIN_INCOMPLETE', message, drain: report };
  },
});

export const uncordonTask = (deps: DrainDeps): TaskKind => ({
  kind: 'uncordon',
  async run(task, signal): Promise<TaskOutcome> {
    specOf(task, 'uncordon');
    const done = await uncordon(deps, signal);
    return { outcome: 'succeeded', message: done.join('; ').slice(0, 1024) };
  },
});

function leftText({ stayed, more }: DrainReport): string {
  const texts = stayed.map(({ kind, name, reason }) => `${kind} ${name}: ${reason}`);
  const rest = more > 0 ? `; and ${more} more` : '';
  return `${stayed.length + more} would not go: ${texts.join('; ')}`.slice(0, 1000) + rest;
}
