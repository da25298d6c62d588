// What ending an instance that was not drained would lose, as far as it is known here. Reads and says;
// ends nothing.

import { BilletError } from '#shared/errors.ts';
import type { Drain } from '#shared/schema/drain.ts';
import type { Heartbeat } from '#shared/schema/heartbeat.ts';
import type { InstanceRecord } from '../nodes/records.ts';
import type { Records } from '../records.ts';
import type { TaskRecord } from '../tasks/records.ts';
import { openTasks } from '../tasks/task-writes.ts';
import { drainOf } from './drain-of.ts';

/** DRAIN_REQUIRED, with each loss by name in its details. */
export async function drainRequired(
  records: Records,
  record: InstanceRecord,
): Promise<BilletError> {
  const { id, state } = record;
  const [last, tasks, drain] = await Promise.all([
    records.heartbeats.get(id),
    openTasks(records, id),
    drainOf(records, id),
  ]);
  const open = tasks.map((task) => task.record);
  const loses = losses({ record, heartbeat: last?.record.heartbeat ?? null, tasks: open, drain });
  const what = loses.length === 0 ? 'what runs on it' : loses.join(', ');
  return new BilletError('DRAIN_REQUIRED', `${id} is ${state}; ending it now loses ${what}`, {
    hint: `${nextStep(id, drain)}; or lose that: billet instance terminate ${id} --force`,
    details: { state, loses },
  });
}

interface Holdings {
  readonly record: Pick<InstanceRecord, 'machine'>;
  readonly heartbeat: Heartbeat | null;
  readonly tasks: readonly TaskRecord[];
  readonly drain: Drain | null;
}

/** One text each: what runs, what it keeps, what is under way, and disks. */
function losses({ record, heartbeat, tasks, drain }: Holdings): readonly string[] {
  const modules = heartbeat?.modules ?? [];
  const services = modules.filter(({ state }) => state === 'attached');
  const stayed = (drain?.report?.stayed ?? []).filter(({ kind }) => kind !== 'service');
  const reported = new Set(stayed.map(({ name }) => name));
  const containers = (heartbeat?.containers ?? []).filter((name) => !reported.has(name));
  const disks = record.machine?.shape.disks ?? [];
  return [
    ...services.map(({ name }) => `the service ${name}, without its stop`),
    ...containers.map((name) => `the container ${name}`),
    ...stayed.map(({ kind, name, reason }) => `the ${kind} ${name} (${reason})`),
    ...modules.flatMap(({ name, persistent = [] }) =>
      persistent.map((path) => `the data of ${name} in ${path}`),
    ),
    ...tasks.map(({ id, spec }) => `the task ${id} (${spec.kind})`),
    ...disks.map(({ serial }) => `the disk ${serial} with all that is on it`),
  ];
}

function nextStep(id: string, drain: Drain | null): string {
  switch (drain?.state) {
    case 'waiting':
    case 'draining':
      return `its drain is under way: billet instance drain ${id} --wait`;
    case 'incomplete':
      return `its drain left something: billet instance show ${id}`;
    default:
      return `drain it first: billet instance drain ${id} --wait`;
  }
}
