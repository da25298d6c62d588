// The agent dies at each point of leasing, running and reporting tasks: each task comes to its end,
// what was recorded is not worked for again, and no reboot happens twice.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { reportQueue } from '../../agent/link/queue.ts';
import { testClock } from '../../agent/reconcile/testing-loop.ts';
import type { TaskKind } from '../../agent/tasks/kind.ts';
import { taskLoop } from '../../agent/tasks/loop.ts';
import { rebootTask } from '../../agent/tasks/reboot.ts';
import { watchDisk } from './agent-disk.ts';
import { type TaskCoordinator, taskCoordinator } from './agent-task-coordinator.ts';

const TEMPORARY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const never = new AbortController().signal;
const BOOTS = Array.from({ length: 9 }, (_, nth) => `${nth}0000000-1111-4111-8111-111111111111`);
const LOGS = { kind: 'collect-logs', lines: 5 };
const REBOOT = { kind: 'reboot', reason: 'test' };
const HOUR_MS = 3_600_000;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(TEMPORARY, 'billet-tasks-'));
});
afterEach(() => rm(dir, { recursive: true }));

/** A machine, and what its tasks have done to it. */
interface Machine {
  readonly coordinator: TaskCoordinator;
  boot: number;
  runs: number;
  reboots: number;
}

type Point = (what: string) => Promise<void>;

/** One life, until nothing is left to lease or the machine goes down. */
async function live(machine: Machine, point: Point = async () => undefined): Promise<void> {
  const { coordinator } = machine;
  const bootId = BOOTS[machine.boot] ?? '';
  const unwatch = watchDisk(dir, async (change, act) => {
    await point(
      `${change.call} ${change.path
        .split('/')
        .at(-1)
        ?.replace(/[0-9a-f]{12}$/, '')}`,
    );
    return await act();
  });
  ending.set(dir, unwatch);
  const down = Promise.withResolvers<void>();
  const logs: TaskKind = {
    kind: 'collect-logs',
    async run() {
      await point('the work of the task');
      machine.runs += 1;
      return { outcome: 'succeeded', output: `run ${machine.runs}` };
    },
  };
  const exec = async () => {
    await point('the reboot');
    machine.reboots += 1;
    machine.boot += 1;
    down.resolve();
    return await new Promise<never>(() => undefined);
  };
  const loop = taskLoop({
    ...{ clock: testClock, client: () => coordinator.client(point), bootId },
    kinds: [logs, rebootTask({ exec, stateDir: dir, bootId })],
    queue: reportQueue(join(dir, 'reports')),
    onError: () => undefined,
  });
  coordinator.beat(bootId);
  await Promise.race([loop.once(never).catch(() => undefined), down.promise]);
  await unwatch();
}

const ending = new Map<string, () => Promise<void>>();

async function dieAt(machine: Machine, nth: number): Promise<string | null> {
  const reached = Promise.withResolvers<string>();
  let passed = 0;
  const whole = live(machine, async (what) => {
    if (passed++ < nth) return;
    reached.resolve(what);
    await new Promise(() => undefined);
  }).then(() => null);
  const where = await Promise.race([reached.promise, whole]);
  await ending.get(dir)?.();
  return where;
}

/** Lives until all tasks have ended, with time that passes between them. */
async function settle(machine: Machine): Promise<void> {
  machine.coordinator.up = true;
  for (let life = 0; life < 6; life += 1) {
    await live(machine);
    machine.coordinator.beat(BOOTS[machine.boot] ?? '');
    machine.coordinator.now += HOUR_MS;
  }
}

interface Story {
  readonly specs: readonly object[];
  /** Between death and the next life. */
  readonly meanwhile?: (machine: Machine) => Promise<void> | void;
}

/** Dies at each point in turn; what came of it, with what the reports on disk were at death. */
async function loopOver(
  { specs, meanwhile }: Story,
  check: (machine: Machine, at: string, reported: number) => void,
): Promise<number> {
  for (let nth = 0; ; nth += 1) {
    await rm(dir, { recursive: true });
    await mkdir(dir);
    const machine: Machine = { coordinator: taskCoordinator(specs), boot: 0, runs: 0, reboots: 0 };
    const where = await dieAt(machine, nth);
    const names = existsSync(join(dir, 'reports')) ? await readdir(join(dir, 'reports')) : [];
    await meanwhile?.(machine);
    await settle(machine);
    check(
      machine,
      `${nth}: ${where}`,
      names.filter((name) => name.endsWith('.json') && !name.startsWith('.')).length,
    );
    if (where === null) return nth;
  }
}

const states = ({ coordinator }: Machine) =>
  [...coordinator.tasks.values()].map(({ state }) => state);

test('a task comes to its end wherever the agent dies, and its work is done twice only if it was not recorded', async () => {
  const points = await loopOver({ specs: [LOGS, LOGS] }, (machine, at, reported) => {
    assert.deepEqual(states(machine), ['succeeded', 'succeeded'], at);
    assert.ok(machine.runs <= 3, at);
    if (reported > 0) assert.equal(machine.runs, 2, at);
  });
  assert.ok(points > 15);
});

const awayFromNow: Story['meanwhile'] = async (machine) => {
  // A life without a coordinator, and leases that run out meanwhile.
  machine.coordinator.up = false;
  await live(machine);
  machine.coordinator.now += HOUR_MS / 120;
};

test('reports wait on disk through a life without a coordinator', async () => {
  await loopOver({ specs: [LOGS], meanwhile: awayFromNow }, (machine, at, reported) => {
    assert.deepEqual(states(machine), ['succeeded'], at);
    if (reported > 0) assert.equal(machine.runs, 1, at);
  });
});

test('nobody remembers reports: the work is done again', async () => {
  const again: string[] = [];
  const forget = () => rm(join(dir, 'reports'), { recursive: true, force: true });
  await loopOver({ specs: [LOGS], meanwhile: forget }, (machine, at, reported) => {
    if (reported > 0 && machine.runs > 1) again.push(at);
  });
  assert.ok(again.length > 0);
});

test('a reboot happens once wherever the agent dies, and is done when another boot is seen', async () => {
  const points = await loopOver({ specs: [REBOOT] }, (machine, at) => {
    assert.equal(machine.reboots, 1, at);
    assert.deepEqual(states(machine), ['succeeded'], at);
  });
  assert.ok(points > 5);
});

/** The store is put back to the time before the task was leased. */
const restored: Story['meanwhile'] = async (machine) => {
  await settle(machine);
  for (const [id, task] of taskCoordinator([REBOOT]).tasks) machine.coordinator.tasks.set(id, task);
};

test('a coordinator restored from a backup orders a reboot that has happened: it is refused', async () => {
  await loopOver({ specs: [REBOOT], meanwhile: restored }, (machine, at) => {
    assert.equal(machine.reboots, 1, at);
    const [task] = machine.coordinator.tasks.values();
    assert.deepEqual([task?.state, task?.result?.code], ['failed', 'CONFLICT'], at);
    assert.match(task?.result?.message ?? '', /create another task/, at);
  });
});

test('nobody remembers which reboots were begun: it happens twice', async () => {
  const twice: string[] = [];
  const forget: Story['meanwhile'] = async (machine) => {
    await restored(machine);
    await rm(join(dir, 'reboots.json'), { force: true });
  };
  await loopOver({ specs: [REBOOT], meanwhile: forget }, (machine, at) => {
    if (machine.reboots > 1) twice.push(at);
  });
  assert.ok(twice.length > 0);
});
