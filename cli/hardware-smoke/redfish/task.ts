// Where an operation stands that a service does in the background (DSP0266, "Asynchronous
// operations"; Task of DSP0268), and how long to wait before it is asked again. Pure.

import { problemOf, taskProblem } from './problem.ts';
import { Task } from './schema.ts';

const PAUSE_MS = 2000;
const PAUSE_MAX_MS = 30_000;
const FAILED = new Set(['Exception', 'Cancelled', 'Killed', 'Interrupted']);
const RUNS = new Set([
  'New',
  'Starting',
  'Running',
  'Pending',
  'Service',
  'Stopping',
  'Cancelling',
  'Suspended',
]);

/**
 * Of the response to an operation or to its monitor. A monitor answers 202 while it runs, and then as
 * the operation itself would have; some services answer 200 with the task instead. Throws BMC_DENIED
 * or BMC_FAILED for what has failed.
 */
export function taskVerdict(status: number, body: unknown, asked: string): 'running' | 'done' {
  if (status >= 400) throw problemOf(status, body, asked);
  const task = Task.safeParse(body).data;
  if (task === undefined) return status === 202 ? 'running' : 'done';
  const state = task.TaskState ?? '';
  if (FAILED.has(state)) throw taskProblem(state, task.Messages ?? [], asked);
  if (state === 'Completed') {
    if (task.TaskStatus === 'Critical') throw taskProblem('Critical', task.Messages ?? [], asked);
    return 'done';
  }
  return status === 202 || RUNS.has(state) ? 'running' : 'done';
}

/** Of a Retry-After (RFC 9110 §10.2.3: seconds, or a date), within bounds. */
export function pauseMs(header: string | readonly string[] | undefined, nowMs: number): number {
  const text = typeof header === 'string' ? header : (header?.[0] ?? '');
  const seconds = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  if (Number.isNaN(seconds)) return PAUSE_MS;
  return Math.min(PAUSE_MAX_MS, Math.max(100, seconds));
}
