// What the agent of crash.test.ts is in the middle of when it dies, and how it is run. For tests only.

import type { Desired } from '#shared/schema/desired.ts';
import { desiredOf, type TestModule, testModule } from './testing.ts';
import { type TestAgent, type TestAgentOptions, testAgent } from './testing-loop.ts';

export interface Scenario {
  readonly modules: readonly TestModule[];
  readonly before: Desired;
  readonly after: Desired;
}

const two = { services: ['main', 'side'].map((name) => ({ name, exec: [`/bin/${name}`] })) };
const web = testModule('web', two);
const web2 = testModule('web', { ...two, files: 'web 2', sequence: 2 });
const webAgain = testModule('web', { files: 'web', sequence: 3, description: 'one service less' });
const dns = testModule('dns');
const ntp = testModule('ntp');
const modules = [web, web2, webAgain, dns, ntp];

const SCENARIOS = {
  /** One module updated, one removed, one added. */
  update: { modules, before: desiredOf(1, [web, dns]), after: desiredOf(2, [web2, ntp]) },
  /** Same image, other units. */
  reattach: { modules, before: desiredOf(1, [web]), after: desiredOf(2, [webAgain]) },
} satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;

export const scenario = (name: ScenarioName): Scenario => SCENARIOS[name];

/** Called at each point where an agent may die, with its name. */
export type Point = (what: string) => Promise<void>;

/** A new agent on what lies in `dir`; it resumes, and reconciles until nothing is left to do. */
export async function settle(
  dir: string,
  chosen: Scenario,
  desired: Desired,
  point?: Point,
): Promise<void> {
  const settled = Promise.withResolvers<void>();
  let cycles = 0;
  let calm = 0;
  const agent = await startOn(dir, chosen, desired, point, (status) => {
    const { phase, generation, lastReconcile } = status;
    const done = phase === 'ready' && generation === desired.generation;
    calm = done && lastReconcile?.outcome === 'converged' ? calm + 1 : 0;
    cycles += 1;
    // The first calm cycle may be the one that finds its generation good, which makes garbage.
    if (calm === 2) settled.resolve();
    else if (cycles === CYCLES_MAX) settled.reject(new Error(`never: ${JSON.stringify(status)}`));
  });
  const stop = new AbortController();
  const running = agent.loop.run(stop.signal);
  try {
    await Promise.race([settled.promise, running]);
  } finally {
    stop.abort();
    await Promise.allSettled([running]);
    await agent.close();
  }
}

const CYCLES_MAX = 100;

/** Runs a new agent up to its nth point (from 0), and leaves it there for ever. */
export async function stopAt(dir: string, chosen: Scenario, nth: number): Promise<void> {
  const reached = Promise.withResolvers<void>();
  let passed = 0;
  const agent = await startOn(dir, chosen, chosen.after, async () => {
    if (passed++ !== nth) return;
    reached.resolve();
    await new Promise(() => undefined);
  });
  const running = agent.loop.run(new AbortController().signal);
  await Promise.race([reached.promise, running]);
  await agent.close();
}

async function startOn(
  dir: string,
  { modules: known }: Scenario,
  desired: Desired,
  point: Point = async () => undefined,
  onStatus: TestAgentOptions['onStatus'] = () => undefined,
): Promise<TestAgent> {
  const points = { before: point, onJournal: point };
  const agent = await testAgent({ dir, modules: known, desired, ...points, onStatus });
  agent.confirmed = desired.generation;
  return agent;
}
