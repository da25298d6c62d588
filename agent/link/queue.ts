// Task reports that the coordinator has not acknowledged yet: one file each, durable before the
// first attempt. Sending again is safe, as the coordinator takes a repeated report as one.

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { TaskId } from '#shared/schema/ids.ts';
import { TaskOutcome } from '#shared/schema/task.ts';
import { writeFileAtomic } from '../drivers/files.ts';
import { namesIn, textOrNull } from '../identity/source-file.ts';

export const TaskReport = z.object({
  id: TaskId,
  epoch: z.int().positive(),
  result: TaskOutcome,
});
export type TaskReport = z.infer<typeof TaskReport>;

export interface ReportQueue {
  /** Durable when it resolves. A second report of one task and epoch replaces the first. */
  add(report: TaskReport): Promise<void>;
  /**
   * Sends what waits, oldest epoch of a task first. A report that the coordinator refuses for good
   * (lease lost, task gone) is dropped; at the first error that may pass, the rest stays.
   */
  flush(send: (report: TaskReport) => Promise<void>): Promise<{ sent: number; dropped: number }>;
}

const SUFFIX = '.json';

/** `dir` is created with the first report. */
export function reportQueue(dir: string): ReportQueue {
  const pathOf = ({ id, epoch }: TaskReport) => join(dir, `${id}.${epoch}${SUFFIX}`);

  async function* waiting(): AsyncGenerator<{ path: string; report: TaskReport | null }> {
    for (const name of await namesIn(dir)) {
      if (!name.endsWith(SUFFIX)) continue;
      const path = join(dir, name);
      yield { path, report: parse(await textOrNull(path)) };
    }
  }

  return {
    async add(report) {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await writeFileAtomic(pathOf(report), JSON.stringify(report), { mode: 0o600 });
    },

    async flush(send) {
      const counts = { sent: 0, dropped: 0 };
      for await (const { path, report } of waiting()) {
        const outcome = report === null ? 'dropped' : await attempt(send, report);
        if (outcome === 'later') return counts;
        counts[outcome] += 1;
        await rm(path, { force: true });
      }
      return counts;
    },
  };
}

async function attempt(
  send: (report: TaskReport) => Promise<void>,
  report: TaskReport,
): Promise<'sent' | 'dropped' | 'later'> {
  try {
    await send(report);
    return 'sent';
  } catch (error) {
    if (!(error instanceof BilletError)) throw error;
    return REFUSED.has(error.code) ? 'dropped' : 'later';
  }
}

/** Answers that no later attempt changes. */
const REFUSED = new Set(['LEASE_LOST', 'NOT_FOUND', 'CONFLICT', 'BODY_INVALID', 'BODY_TOO_LARGE']);

/** Null for a file that this agent did not write whole: writes are atomic, so it never will be. */
function parse(text: string | null): TaskReport | null {
  if (text === null) return null;
  try {
    return TaskReport.safeParse(JSON.parse(text)).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
