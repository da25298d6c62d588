// Leases tasks, holds their leases while they run, and queues what came of them. One task at a time.

import type { RouteClient } from '#shared/client/route-client.ts';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { leaseTasks, renewTask, reportTask } from '#shared/routes/node.ts';
import type { LeasedTask, TaskOutcome } from '#shared/schema/task.ts';
import { retryAfterMs } from '../link/backoff.ts';
import type { ReportQueue, TaskReport } from '../link/queue.ts';
import { wakeable } from '../wakeable.ts';
import type { TaskKind } from './kind.ts';

export interface TaskDeps {
  readonly clock: Clock;
  readonly client: () => RouteClient;
  readonly kinds: readonly TaskKind[];
  readonly queue: ReportQueue;
  /** Of this boot: the coordinator gives it again what it leased in a reply that got lost. */
  readonly bootId: string;
  readonly onError: (error: unknown) => void;
}

export interface TaskLoop {
  /** Tasks may be waiting, or the link is back: lease and report now. */
  wake(): void;
  /** Sends what waits, then leases and runs until nothing is left. */
  once(signal: AbortSignal): Promise<void>;
  /** Runs until `signal` aborts, and then rejects with its reason. */
  run(signal: AbortSignal): Promise<never>;
}

/** A nudge that was lost is made good by the heartbeat's reply, so this is only the last resort. */
const INTERVAL_MS = 300_000;
const RETRY_MS = 10_000;

export function taskLoop(deps: TaskDeps): TaskLoop {
  const { clock, queue } = deps;
  const wait = wakeable(clock);
  /** Leased here and without an end: only who holds none, and owes no report, is given one again. */
  let held = 0;
  const send = async ({ id, epoch, result }: TaskReport, signal: AbortSignal): Promise<void> => {
    await deps.client().call(reportTask, { params: { id }, body: { epoch, result }, signal });
  };
  const flush = (signal: AbortSignal) => queue.flush((report) => send(report, signal));

  /** On disk before it is sent; on a disk that is full, sent at once or never. */
  async function keep(report: TaskReport, signal: AbortSignal): Promise<void> {
    try {
      await queue.add(report);
    } catch (error) {
      deps.onError(error);
      await send(report, signal);
    }
  }

  async function once(signal: AbortSignal): Promise<void> {
    let { left } = await flush(signal);
    for (;;) {
      const asker = held === 0 && left === 0 ? { bootId: deps.bootId } : {};
      const leased = await deps.client().call(leaseTasks, { body: { max: 1, ...asker }, signal });
      const tasks = leased?.body.tasks ?? [];
      if (tasks.length === 0) return;
      for (const task of tasks) {
        held += 1;
        const result = await runLeased(task, deps, signal);
        if (result === null) continue;
        await keep({ id: task.id, epoch: task.epoch, result }, signal);
        held -= 1;
        ({ left } = await flush(signal));
      }
    }
  }

  return {
    wake: wait.wake,
    once,
    async run(signal) {
      for (;;)
        try {
          await wait.sleep(INTERVAL_MS, signal);
          await once(signal);
        } catch (error) {
          signal.throwIfAborted();
          deps.onError(error);
          await clock.sleep(Math.max(RETRY_MS, retryAfterMs(error)), signal);
          wait.wake();
        }
    },
  };
}

/** Null when there is nothing to report: the lease was lost, or the end is seen later. */
async function runLeased(
  task: LeasedTask,
  deps: TaskDeps,
  signal: AbortSignal,
): Promise<TaskOutcome | null> {
  const kind = deps.kinds.find((each) => each.kind === task.spec.kind);
  if (kind === undefined) return failed(unknownKind(task));
  const lost = new AbortController();
  const ended = new AbortController();
  const running = AbortSignal.any([signal, lost.signal]);
  const holding = hold(task, deps, lost, AbortSignal.any([signal, ended.signal]));
  try {
    const outcome = await kind.run(task, running);
    return lost.signal.aborted ? null : outcome;
  } catch (error) {
    signal.throwIfAborted();
    return lost.signal.aborted ? null : failed(error);
  } finally {
    ended.abort();
    await holding;
  }
}

/** Renews the lease at each third of it; aborts `lost` once it is taken back, gone or run out. */
async function hold(
  task: LeasedTask,
  { clock, client }: TaskDeps,
  lost: AbortController,
  signal: AbortSignal,
): Promise<void> {
  let leaseMs = task.leaseSeconds * 1000;
  let renewedAt = clock.monotonic();
  while (!signal.aborted)
    try {
      await clock.sleep(leaseMs / 3, signal);
      const { id, epoch } = task;
      const asked = clock.monotonic();
      const reply = await client().call(renewTask, { params: { id }, body: { epoch }, signal });
      if (reply?.body.cancelled) return lost.abort();
      leaseMs = (reply?.body.leaseSeconds ?? task.leaseSeconds) * 1000;
      renewedAt = asked;
    } catch (error) {
      if (signal.aborted) return;
      const over = clock.monotonic() - renewedAt >= leaseMs;
      if (over || !(error instanceof BilletError) || !error.retryable) return lost.abort();
    }
}

function failed(error: unknown): TaskOutcome {
  const known = error instanceof BilletError ? error : null;
  const message = error instanceof Error ? error.message : String(error);
  const hint = known === null ? '' : ` (${known.hint})`;
  return {
    outcome: 'failed',
    code: known?.code ?? 'TASK_FAILED',
    message: `${message}${hint}`.slice(0, 1024),
  };
}

const unknownKind = ({ spec }: LeasedTask) =>
  new BilletError('TASK_KIND_UNKNOWN', `this agent knows no task kind ${spec.kind}`, {
    hint: 'bring the node to a system image with a newer agent',
  });
