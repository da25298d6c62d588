// Reboots the machine. The task is done when the coordinator sees another boot id, so nothing is
// reported here. What is kept is which reboots were begun: a coordinator that was restored from a
// backup may hand one out again that has happened long ago.

import { join } from 'node:path';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { TaskId } from '#shared/schema/ids.ts';
import { readChecked, setAside, writeChecked } from '../checked-file.ts';
import type { Exec } from '../drivers/exec.ts';
import { systemdPower } from '../drivers/power.ts';
import type { TaskKind } from './kind.ts';
import { specOf } from './spec.ts';

/** Newest last. */
const BegunReboots = z.array(
  z.object({
    id: TaskId,
    /** Of the boot that was to end. */
    bootId: z.string(),
  }),
);
type BegunReboots = z.infer<typeof BegunReboots>;

const BEGUN_MAX = 64;

export interface RebootDeps {
  readonly exec: Exec;
  readonly stateDir: string;
  readonly bootId: string;
}

/**
 * Asked again in the boot that is to end (its lease was given again after a crash) it acts again:
 * that boot ends only once. In a later boot it throws CONFLICT.
 */
export function rebootTask({ exec, stateDir, bootId }: RebootDeps): TaskKind {
  const path = join(stateDir, 'reboots.json');
  return {
    kind: 'reboot',
    async run(task, signal) {
      specOf(task, 'reboot');
      const begun = await load(path);
      const earlier = begun.find(({ id }) => id === task.id);
      if (earlier !== undefined && earlier.bootId !== bootId)
        throw new BilletError(
          'CONFLICT',
          `task ${task.id} has ended boot ${earlier.bootId} already, this is boot ${bootId}`,
          { hint: 'create another task: billet task create reboot <instance>' },
        );
      // Durable before the machine goes down: afterwards nothing else tells of it.
      if (earlier === undefined)
        await writeChecked(path, [...begun, { id: task.id, bootId }].slice(-BEGUN_MAX));
      await systemdPower({ exec }).restart(signal);
      return null;
    },
  };
}

/** A damaged file is set aside: it protects from a coordinator of the past, and is not worth a reboot. */
async function load(path: string): Promise<BegunReboots> {
  const found = await readChecked(path, BegunReboots);
  if (found.kind === 'damaged') await setAside(path);
  return found.kind === 'whole' ? found.value : [];
}
