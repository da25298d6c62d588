// Task reports that the coordinator has not acknowledged yet: one file each, durable before the
// first attempt. Sending again is safe, as the coordinator takes a repeated report as one.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { TaskId } from '#shared/schema/ids.ts';
import { TaskOutcome } from '#shared/schema/task.ts';
import { lostBy, readChecked, setAside, writeChecked } from '../checked-file.ts';
import { makeDirectory, removeDrafts } from '../drivers/files.ts';
import { namesIn } from '../identity/source-file.ts';

export const TaskReport = z.object({
  id: TaskId,
  epoch: z.int().positive(),
  result: TaskOutcome,
});
export type TaskReport = z.infer<typeof TaskReport>;

export interface Flushed {
  readonly sent: number;
  readonly dropped: number;
  /** Still waiting. */
  readonly left: number;
}

export interface ReportQueue {
  /** Durable when it resolves. A second report of one task and epoch replaces the first. */
  add(report: TaskReport): Promise<void>;
  /**
   * Sends what waits, oldest epoch first. A report that the coordinator refuses for good
   * (lease lost, task gone) is dropped; at the first error that may pass, the rest stays.
   */
  flush(send: (report: TaskReport) => Promise<void>): Promise<Flushed>;
  /** STATE_CORRUPT for reports that were found damaged, and set aside, since the start. */
  readonly damage: readonly BilletError[];
}

const SUFFIX = '.json';

/** `dir` is created with the first report. */
export function reportQueue(dir: string): ReportQueue {
  const pathOf = ({ id, epoch }: TaskReport) => join(dir, `${id}.${epoch}${SUFFIX}`);
  const damage: BilletError[] = [];

  async function waiting(): Promise<{ path: string; report: TaskReport }[]> {
    const found: { path: string; report: TaskReport }[] = [];
    for (const name of (await namesIn(dir)).filter((each) => each.endsWith(SUFFIX))) {
      const path = join(dir, name);
      const read = await readChecked(path, TaskReport);
      if (read.kind === 'whole') found.push({ path, report: read.value });
      if (read.kind !== 'damaged') continue;
      await setAside(path);
      damage.push(lostBy(read.damage, 'the result of a task is lost, its lease runs out'));
    }
    return found.sort((a, b) => a.report.epoch - b.report.epoch);
  }

  return {
    damage,

    async add(report) {
      await makeDirectory(dir, 0o700);
      await removeDrafts(dir);
      await writeChecked(pathOf(report), report);
    },

    async flush(send) {
      const counts = { sent: 0, dropped: 0 };
      const reports = await waiting();
      for (const [index, { path, report }] of reports.entries()) {
        const outcome = await attempt(send, report);
        if (outcome === 'later') return { ...counts, left: reports.length - index };
        counts[outcome] += 1;
        await rm(path, { force: true });
      }
      return { ...counts, left: 0 };
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
