// What a task kind is. Types only.

import type { LeasedTask, TaskOutcome } from '#shared/schema/task.ts';

export interface TaskKind {
  readonly kind: string;
  /**
   * Does what the task asks. Null when its end can only be seen later (after a reboot): nothing is
   * reported then. Throws a BilletError, which becomes the outcome `failed`, or the signal's reason
   * when the lease was lost.
   */
  run(task: LeasedTask, signal: AbortSignal): Promise<TaskOutcome | null>;
}
