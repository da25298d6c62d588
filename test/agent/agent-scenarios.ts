// What an agent may be in the middle of when it dies: what its coordinator wants before, meanwhile
// and afterwards. Data; nothing here runs.

import { desiredOf, type TestModule, testModule } from '../../agent/reconcile/testing.ts';
import type { Observed } from '../../agent/reconcile/world.ts';
import { sha256 } from '../../shared/digest.ts';
import type { Desired } from '../../shared/schema/desired.ts';

/** What one life of the agent meets. */
export interface Situation {
  readonly desired: Desired;
  /** The coordinator sees generations ready, and remembers rejected ones; else it is away. */
  readonly coordinator: boolean;
  readonly booted: Observed['booted'];
  readonly bootedGeneration: number;
  /** Names of modules whose probes fail. */
  readonly failing: readonly string[];
  /** The machine has restarted since the life before. */
  readonly restarted: boolean;
}

export interface Scenario {
  /** Lives that ran to their end. */
  readonly before: readonly Situation[];
  /** The life that dies. */
  readonly dying: Situation;
  /** The one that comes after it. */
  readonly next: Situation;
}

const twoUnits = { services: ['main', 'side'].map((name) => ({ name, exec: [`/bin/${name}`] })) };
const web = testModule('web', twoUnits);
const web2 = testModule('web', { ...twoUnits, files: 'web 2', sequence: 2 });
const webAgain = testModule('web', { files: 'web', sequence: 3, description: 'one service less' });
const badWeb = testModule('web', {
  files: 'bad',
  sequence: 4,
  services: [{ name: 'main', exec: ['/FAIL'] }],
});
const dns = testModule('dns');
const ntp = testModule('ntp');
const base = testModule('base', { kind: 'system' });
const base2 = testModule('base', { kind: 'system', files: 'base 2', sequence: 2 });

export const MODULES = [web, web2, webAgain, badWeb, dns, ntp, base, base2];

const bootedFrom = (module: TestModule): Observed['booted'] => ({
  systemImage: sha256(module.label.version),
  bootImage: null,
  manifests: [module.ref.manifest],
});

const situation = (
  generation: number,
  modules: readonly TestModule[],
  rest: Partial<Situation> = {},
): Situation => ({
  desired: desiredOf(generation, [base, ...modules], SETTINGS),
  coordinator: true,
  booted: bootedFrom(base),
  bootedGeneration: 1,
  failing: [],
  restarted: false,
  ...rest,
});

const SETTINGS = { hostname: 'one' };
const away = { coordinator: false };
const scenario = (before: Situation[], dying: Situation, next = dying): Scenario => ({
  ...{ before, dying, next },
});
const withSystem2 = { desired: desiredOf(2, [base2, web], SETTINGS) };
const renamed = { desired: desiredOf(2, [base, web], { hostname: 'two' }) };

export const SCENARIOS = {
  'the first services of a boot': scenario([], situation(1, [web, dns])),
  'a release that updates, removes and adds': scenario(
    [situation(1, [web, dns])],
    situation(2, [web2, ntp]),
  ),
  'a changed label over the same image': scenario([situation(1, [web])], situation(2, [webAgain])),
  'the removal of a module': scenario([situation(1, [web, dns])], situation(2, [web])),
  'a module that nobody wants any more when the agent is back': scenario(
    [situation(1, [web])],
    situation(2, [web, ntp]),
    situation(3, [web]),
  ),
  'a removal that is taken back': scenario(
    [situation(1, [web, dns])],
    situation(2, [web]),
    situation(3, [web, dns]),
  ),
  'a release that fails and is gone back from, with the coordinator away': scenario(
    [situation(1, [web])],
    situation(2, [badWeb], away),
  ),
  'a release that fails where nothing was ever confirmed': scenario(
    [situation(1, [web], away)],
    situation(2, [badWeb], away),
  ),
  'a good release whose probe fails': scenario(
    [situation(1, [web])],
    situation(1, [web], { failing: ['web'] }),
  ),
  'a system that is staged, and then booted': scenario(
    [situation(1, [web])],
    situation(2, [web], withSystem2),
    situation(2, [web], {
      ...withSystem2,
      booted: bootedFrom(base2),
      bootedGeneration: 2,
      restarted: true,
    }),
  ),
  'a system that is staged, and then not wanted': scenario(
    [situation(1, [web])],
    situation(2, [web], withSystem2),
    situation(3, [web]),
  ),
  'other settings': scenario([situation(1, [web])], situation(2, [web], renamed)),
  'other settings that are taken back': scenario(
    [situation(1, [web])],
    situation(2, [web], renamed),
    situation(3, [web]),
  ),
  'garbage of two releases': scenario(
    [situation(1, [web, dns], away), situation(2, [web2], away)],
    situation(3, [webAgain]),
  ),
} satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;
export const SCENARIO_NAMES = Object.keys(SCENARIOS) as ScenarioName[];
