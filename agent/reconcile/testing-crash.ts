// What the agent of crash.test.ts is in the middle of when it dies, and how it is run. For tests only.

import type { Desired } from '#shared/schema/desired.ts';
import { desiredOf, type TestModule, testModule } from './testing.ts';
import { type TestAgent, testAgent } from './testing-loop.ts';

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
  { modules: known }: Scenario,
  desired: Desired,
  point: Point = async () => undefined,
  started: (agent: TestAgent) => void = () => undefined,
): Promise<void> {
  const agent = await testAgent({ dir, modules: known, desired, before: point, onJournal: point });
  started(agent);
  const stop = new AbortController();
  agent.confirmed = desired.generation;
  const running = agent.loop.run(stop.signal).catch(() => undefined);
  for (let turns = 0; turns < 2000; turns++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    const { phase, generation } = agent.loop.status;
    if (phase !== 'ready' || generation !== desired.generation) continue;
    if ((await agent.loop.plan(stop.signal)).length === 0) break;
  }
  stop.abort();
  await running;
  await agent.close();
}
