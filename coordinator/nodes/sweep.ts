// What only time brings about: deadlines of instances and tasks, and what is too old to keep. Every
// change compares and sets, so that any number of coordinators may sweep at once.

import type { Clock } from '#shared/clock.ts';
import { InstanceId } from '#shared/schema/ids.ts';
import type { Register } from '../ca/register.ts';
import type { Revocations } from '../ca/revocation.ts';
import { sweepClaims } from '../claims/claim-writes.ts';
import type { Log } from '../log.ts';
import { drainPreempted } from '../provisioning/lost/preemption.ts';
import type { Records } from '../records.ts';
import { forgetSignals } from '../signals/signal-writes.ts';
import { settleTasks } from '../tasks/task-writes.ts';
import { meetDeadline } from './instance-end.ts';
import { dueDeadline } from './lifecycle-deadlines.ts';

const DAY_MS = 24 * 3_600_000;
const EVENTS_KEPT_MS = 30 * DAY_MS;
const TOKENS_KEPT_MS = 7 * DAY_MS;
const TASKS_KEPT_MS = 30 * DAY_MS;
/** At most this many a sweep: the next one goes on. */
const PART = 100;

export interface SweepDeps {
  readonly records: Records;
  readonly register: Register;
  readonly revocations: Pick<Revocations, 'reached'>;
  readonly clock: Clock;
}

/** Deadlines of instances and leases; often. */
export async function sweepDeadlines(deps: SweepDeps): Promise<void> {
  const { records, clock } = deps;
  for await (const { record } of records.instances.all()) {
    // With a machine of a provider, whoever leads there does more.
    if (record.preemption !== null && record.machine === null)
      await drainPreempted(records, record);
    if (dueDeadline(record, clock.now())) {
      const revoked = await meetDeadline(deps, record.id);
      if (revoked !== null) await deps.revocations.reached(revoked);
    }
  }
  for await (const { id, record } of records.queues.all())
    if (record.open.length > 0) await settleTasks(records, InstanceId.parse(id));
}

/** Records that nobody needs any more; seldom. */
export async function sweepRecords({ records, register, clock }: SweepDeps): Promise<void> {
  const now = clock.now();
  await dropOld(records, records.events, ({ at }) => Date.parse(at) + EVENTS_KEPT_MS < now);
  await dropOld(records, records.tokens, ({ expiresAt }) => expiresAt + TOKENS_KEPT_MS < now);
  await dropOld(
    records,
    records.tasks,
    ({ finishedAt }) => finishedAt !== null && finishedAt + TASKS_KEPT_MS < now,
  );
  await sweepClaims(records);
  await forgetSignals(records);
  await dropKeysOfTasks(records);
  await register.prune(now);
}

/** An idempotency key lives as long as the task that was made under it. */
async function dropKeysOfTasks({ store, tasks, taskKeys }: Records): Promise<void> {
  const gone: string[] = [];
  for await (const { id, record } of taskKeys.all()) {
    if (!(await tasks.get(record.task))) gone.push(taskKeys.key(id));
    if (gone.length === PART) break;
  }
  if (gone.length === 0) return;
  const writes = gone.map((key) => ({ kind: 'delete', key }) as const);
  await store.commit([], writes);
}

/** Runs `sweep` every `everyMs` until `signal` aborts; one that fails is logged and comes again. */
export async function sweepEvery(
  options: { readonly everyMs: number; readonly clock: Clock; readonly log: Log },
  signal: AbortSignal,
  sweep: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    await options.clock.sleep(options.everyMs, signal).catch(() => null);
    if (signal.aborted) return;
    await sweep().catch((error) => options.log.error('a sweep failed', { why: String(error) }));
  }
}

/** Finished records never change, so there is nothing to compare with. */
async function dropOld<T>(
  { store }: Records,
  source: {
    all(): AsyncIterable<{ readonly id: string; readonly record: T }>;
    key(id: string): string;
  },
  isOld: (record: T) => boolean,
): Promise<void> {
  const keys: string[] = [];
  for await (const { id, record } of source.all()) {
    if (isOld(record)) keys.push(source.key(id));
    if (keys.length === PART) break;
  }
  if (keys.length > 0)
    await store.commit(
      [],
      keys.map((key) => ({ kind: 'delete', key }) as const),
    );
}
