// How a task looks to a person. Text only; asks nobody.

import type { Task } from '#shared/schema/task.ts';
import { ago, type Column, listing } from '../output.ts';

export const taskColumns = (nowMs: number): readonly Column<Task>[] => [
  { header: 'TASK', value: ({ id }) => id },
  { header: 'INSTANCE', value: ({ instance }) => instance },
  { header: 'KIND', value: ({ spec }) => spec.kind, shrinks: true },
  { header: 'STATE', value: ({ state }) => state },
  { header: 'TRIES', value: ({ epoch, attemptsMax }) => `${epoch}/${attemptsMax}` },
  { header: 'AGE', value: ({ createdAt }) => ago(createdAt, nowMs) },
];

/** Everything but the output, which may be long and is printed as it is. */
export function taskLines(task: Task, width: number): readonly string[] {
  const { result } = task;
  const pairs: [string, string][] = [
    ['task', task.id],
    ['instance', task.instance],
    ['kind', task.spec.kind],
    ['state', task.state],
    ['tries', `${task.epoch} of ${task.attemptsMax}`],
    ['created', `${task.createdAt} by ${task.createdBy}`],
  ];
  if (task.leaseExpiresAt !== null) pairs.push(['leased until', task.leaseExpiresAt]);
  if (task.finishedAt !== null) pairs.push(['finished', task.finishedAt]);
  if (result?.code !== undefined) pairs.push(['code', result.code]);
  if (result?.message !== undefined) pairs.push(['message', result.message]);
  return listing(pairs, width);
}
