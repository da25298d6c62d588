// The coordinator of the task tests: its real rules (coordinator/tasks/lease.ts) over a list, behind
// the interface that the agent's task loop calls. Each call is a point where the agent may die.

import * as lease from '../../coordinator/tasks/lease.ts';
import { leasedView, type TaskRecord } from '../../coordinator/tasks/records.ts';
import type { RouteClient } from '../../shared/client/route-client.ts';
import { BilletError } from '../../shared/errors.ts';
import type { Route } from '../../shared/routes/route.ts';
import { InstanceId, TaskId } from '../../shared/schema/ids.ts';
import { TaskSpec } from '../../shared/schema/task.ts';

export interface TaskCoordinator {
  readonly tasks: Map<string, TaskRecord>;
  /** Unix milliseconds. */
  now: number;
  /** False: every call is LINK_DOWN. */
  up: boolean;
  /** What a heartbeat of this boot does. */
  beat(bootId: string): void;
  client(point: (what: string) => Promise<void>): RouteClient;
}

export function taskCoordinator(specs: readonly object[]): TaskCoordinator {
  const tasks = new Map<string, TaskRecord>(
    specs.map((spec, index) => [idOf(index), recordOf(spec, index)]),
  );
  const set = (task: TaskRecord): TaskRecord => {
    tasks.set(task.id, task);
    return task;
  };
  const found = (id: unknown): TaskRecord => {
    const task = tasks.get(String(id));
    if (task === undefined) throw new BilletError('NOT_FOUND', 'no such task', { hint: 'none' });
    return task;
  };

  function leaseOne(bootId: string | undefined): TaskRecord[] {
    const all = [...tasks.values()];
    const unheard = all.find(
      (task) => bootId !== undefined && lease.isUnheard(task, coordinator.now, bootId),
    );
    if (unheard !== undefined) return [unheard];
    for (const task of all) {
      const taken = lease.take(task, coordinator.now, bootId ?? BOOT_OF_HEARTBEAT);
      if (taken !== null) return [set(taken)];
    }
    return [];
  }

  function answer(route: Route, input: Input): unknown {
    const { now } = coordinator;
    if (!coordinator.up) throw new BilletError('LINK_DOWN', 'away', { hint: 'none' });
    const epoch = input.body?.epoch ?? 0;
    if (route.path.endsWith('/lease'))
      return { tasks: leaseOne(input.body?.bootId).map((task) => leasedView(task, now)) };
    const task = found(input.params?.id);
    if (route.path.endsWith('/renew')) {
      set(lease.renew(task, epoch, now));
      return { leaseSeconds: 60, cancelled: false };
    }
    return set(lease.finish(task, epoch, input.body?.result ?? { outcome: 'failed' }, now));
  }

  const coordinator: TaskCoordinator = {
    tasks,
    now: Date.UTC(2026, 10, 21),
    up: true,
    beat(bootId) {
      for (const task of tasks.values())
        set(lease.seenBoot(lease.settle(task, coordinator.now), bootId, coordinator.now));
    },
    client: (point) => {
      const call = async (route: Route, input: Input) => {
        const verb = route.path.split('/').at(-1);
        await point(`${verb} is sent`);
        const body = answer(route, input);
        await point(`the reply to ${verb}`);
        return { body, status: 200, etag: null };
      };
      return { call, open: call } as unknown as RouteClient;
    },
  };
  return coordinator;
}

interface Input {
  readonly params?: { readonly id?: string };
  readonly body?: {
    readonly epoch?: number;
    readonly bootId?: string;
    readonly result?: Parameters<typeof lease.finish>[2];
  };
}

const BOOT_OF_HEARTBEAT = '00000000-0000-4000-8000-000000000000';

const idOf = (index: number) => TaskId.parse(`t-${String(index).padStart(16, '0')}`);

const recordOf = (spec: object, index: number): TaskRecord => ({
  ...{ id: idOf(index), instance: InstanceId.parse('i-0123456789abcdef'), state: 'pending' },
  spec: TaskSpec.parse(spec),
  ...{ epoch: 0, attemptsMax: 5, createdAt: 0, createdBy: 'test' },
  ...{ leaseExpiresAt: null, bootId: null, finishedAt: null, result: null },
});
