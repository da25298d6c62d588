// Lives of an agent on a node in a directory: real journal, boot record, run state and services, over
// a store, a mount table and a systemd that are files. A life runs to its end, or dies at a point.

import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openJournal } from '../../agent/reconcile/journal.ts';
import { testNode } from '../../agent/reconcile/testing.ts';
import { type TestAgent, testAgent } from '../../agent/reconcile/testing-loop.ts';
import { type Change, watchDisk } from './agent-disk.ts';
import { MODULES, type Situation } from './agent-scenarios.ts';

/** Where an agent may die: before an operation, or with half of a write on disk. */
export interface Point {
  readonly what: string;
  readonly half: boolean;
}

/** Called at each point; the agent goes on when it resolves. */
type Visit = (point: Point) => Promise<void>;

const CYCLES_MAX = 40;
const never = new AbortController().signal;

/** Runs a life until nothing is left to do in two cycles on end. */
export async function live(dir: string, situation: Situation, visit?: Visit): Promise<void> {
  if (situation.restarted) powerCycle(dir);
  const unwatch = visit === undefined ? null : watch(dir, visit);
  try {
    const agent = await start(dir, situation, visit);
    await converge(agent, situation);
    await agent.close();
  } finally {
    await unwatch?.();
  }
}

/** Runs a life to its nth point (from 0), where it stops for ever. */
export async function dieAt(dir: string, situation: Situation, nth: number): Promise<void> {
  const reached = Promise.withResolvers<void>();
  let passed = 0;
  const whole = live(dir, situation, async () => {
    if (passed++ < nth) return;
    reached.resolve();
    await new Promise(() => undefined);
  });
  await Promise.race([reached.promise, whole]);
  await watching.get(dir)?.();
}

/** How to end watching a directory whose agent has stopped for ever. */
const watching = new Map<string, () => Promise<void>>();

function watch(dir: string, visit: Visit): () => Promise<void> {
  const unwatch = watchDisk(dir, async (change, act) => {
    await visit({ what: nameOf(change, dir), half: false });
    if (change.call === 'write') await halfway(change, act, (point) => visit(point), dir);
    return await act();
  });
  watching.set(dir, unwatch);
  return unwatch;
}

/** Leaves half of a write, in case this is where it ends; else the whole is written over it. */
async function halfway(
  change: Extract<Change, { call: 'write' }>,
  act: (data?: Buffer) => Promise<unknown>,
  visit: Visit,
  dir: string,
): Promise<void> {
  await act(change.data.subarray(0, Math.floor(change.data.length / 2)));
  await visit({ what: nameOf(change, dir), half: true });
}

const nameOf = (change: Change, dir: string): string =>
  `${change.call} ${change.path.replace(dir, '').replace(/\.[0-9a-f]{12}$/, '.tmp')}`;

async function start(dir: string, situation: Situation, visit?: Visit): Promise<TestAgent> {
  const { desired, booted, bootedGeneration, failing } = situation;
  const agent = await testAgent({
    ...{ dir, modules: MODULES, desired, booted, bootedGeneration },
    before: async (what) => await visit?.({ what, half: false }),
  });
  for (const name of failing) agent.failing.add(name);
  return agent;
}

/** The coordinator confirms what it sees ready, and remembers what was rejected. */
async function converge(agent: TestAgent, { coordinator, desired }: Situation): Promise<void> {
  for (let cycle = 0, calm = 0; calm < 2; cycle += 1) {
    if (cycle === CYCLES_MAX) throw new Error(`never: ${JSON.stringify(agent.loop.status)}`);
    agent.done.length = 0;
    await agent.loop.once(never);
    calm = agent.done.length === 0 ? calm + 1 : 0;
    const { status } = agent.loop;
    if (!coordinator) continue;
    const rejected = status.verdicts.filter(({ verdict }) => verdict === 'rejected');
    agent.rejected = rejected.map(({ generation }) => generation);
    const seen = status.phase === 'ready' && status.generation === desired.generation;
    if (seen && agent.confirmed !== desired.generation) calm = 0;
    if (seen) agent.confirmed = desired.generation;
  }
}

/** What does not outlive a boot: tmpfs, mounts, units. */
function powerCycle(dir: string): void {
  for (const name of ['run', 'mounts.json', 'units', 'loaded', 'unit-states'])
    rmSync(join(dir, name), { recursive: true, force: true });
}

/** Everything that an agent leaves: the node, and its own files. */
export async function snapshot(dir: string): Promise<Readonly<Record<string, unknown>>> {
  const journal = await openJournal(join(dir, 'run/journal'));
  await journal.close();
  return {
    ...(testNode(dir, MODULES).snapshot() as object),
    unfinished: journal.unfinished,
    run: filesOf(dir, 'run'),
    state: filesOf(dir, 'state'),
  };
}

function filesOf(dir: string, folder: string): [string, string][] {
  const root = join(dir, folder);
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  return names.flatMap((name): [string, string][] => {
    if (name === 'journal') return [];
    const path = join(root, name);
    return [[name, statSync(path).isFile() ? readFileSync(path, 'utf8').replaceAll(dir, '') : '/']];
  });
}

/** What was started, stopped, mounted and unmounted here, by all lives. */
export const worldLog = (dir: string): readonly string[] =>
  existsSync(join(dir, 'world.log'))
    ? readFileSync(join(dir, 'world.log'), 'utf8').trimEnd().split('\n')
    : [];
