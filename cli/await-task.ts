// Waits for the end of a task, and shows on stderr how it stands.

import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import type { Task } from '#shared/schema/task.ts';
import type { Coordinator } from './client.ts';
import type { CommandIo } from './command-io.ts';
import { startStatus } from './progress.ts';

const POLL_MS = 1000;
const OPEN: ReadonlySet<Task['state']> = new Set(['pending', 'leased']);

/** The finished task. Throws TIMEOUT when it still runs after `timeoutMs`: it is not cancelled. */
export async function awaitTask(
  io: CommandIo,
  coordinator: Coordinator,
  first: Task,
  timeoutMs: number,
): Promise<Task> {
  const start = io.clock.monotonic();
  const status = startStatus(io);
  try {
    let task = first;
    while (OPEN.has(task.state)) {
      const waitedMs = io.clock.monotonic() - start;
      if (waitedMs >= timeoutMs) throw stillOpen(task, timeoutMs);
      status.say(statusText(task, io.interactive ? waitedMs : null));
      await io.clock.sleep(POLL_MS, io.signal);
      task = await coordinator.call(routes.getTask, { params: { id: task.id } });
    }
    return task;
  } finally {
    status.end();
  }
}

/** Throws TASK_FAILED unless the task reached its end. */
export function assertSucceeded(task: Task): void {
  if (task.state === 'succeeded') return;
  const why = task.result?.message ?? 'the node gave no reason';
  throw new BilletError('TASK_FAILED', `${task.spec.kind} ${task.id} is ${task.state}: ${why}`, {
    hint: `billet task show ${task.id}`,
    details: { task: task.id, state: task.state, code: task.result?.code },
  });
}

function statusText(task: Task, waitedMs: number | null): string {
  const seconds = waitedMs === null ? '' : `, ${Math.round(waitedMs / 1000)} s`;
  return task.state === 'pending'
    ? `${task.id}: waits for ${task.instance}${seconds}`
    : `${task.id}: runs, try ${task.epoch} of ${task.attemptsMax}${seconds}`;
}

const stillOpen = (task: Task, timeoutMs: number) =>
  new BilletError('TIMEOUT', `${task.id} is ${task.state} after ${timeoutMs / 1000} s`, {
    hint: `it goes on; look with \`billet task show ${task.id}\`, or take it back with \`billet task cancel ${task.id}\``,
    details: { task: task.id },
  });
