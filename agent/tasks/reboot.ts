// Reboots the machine. The task is done when another boot id is seen, so nothing is reported before:
// the coordinator sees it in the heartbeat, and a node that remembers reports it as well.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TaskId } from '#shared/schema/ids.ts';
import type { Exec } from '../drivers/exec.ts';
import { readFileOrNull, writeFileAtomic } from '../drivers/files.ts';
import { systemdPower } from '../drivers/power.ts';
import type { ReportQueue } from '../link/queue.ts';
import type { TaskKind } from './kind.ts';
import { specOf } from './spec.ts';

const PendingReboot = z.object({
  id: TaskId,
  epoch: z.int().positive(),
  /** Of the boot that is to end. */
  bootId: z.string(),
});

export interface RebootDeps {
  readonly exec: Exec;
  readonly stateDir: string;
  readonly bootId: string;
}

const pathIn = (stateDir: string) => join(stateDir, 'pending-reboot.json');

export function rebootTask({ exec, stateDir, bootId }: RebootDeps): TaskKind {
  return {
    kind: 'reboot',
    async run(task, signal) {
      specOf(task, 'reboot');
      const { id, epoch } = task;
      const pending = JSON.stringify({ id, epoch, bootId });
      await writeFileAtomic(pathIn(stateDir), pending, { mode: 0o600 });
      try {
        await systemdPower({ exec }).restart(signal);
      } catch (error) {
        await rm(pathIn(stateDir), { force: true });
        throw error;
      }
      return null;
    },
  };
}

/**
 * Queues the report of a reboot that this boot is the proof of. A record of this same boot is
 * dropped: the machine did not go down, and the lease runs out by itself.
 */
export async function finishReboot(
  { stateDir, bootId }: Pick<RebootDeps, 'stateDir' | 'bootId'>,
  queue: ReportQueue,
): Promise<void> {
  const bytes = await readFileOrNull(pathIn(stateDir));
  if (bytes === null) return;
  const pending = PendingReboot.safeParse(jsonOf(bytes.toString('utf8'))).data;
  if (pending !== undefined && pending.bootId !== bootId) {
    const message = `boot ${bootId} follows ${pending.bootId}`;
    const { id, epoch } = pending;
    await queue.add({ id, epoch, result: { outcome: 'succeeded', message } });
  }
  await rm(pathIn(stateDir), { force: true });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
