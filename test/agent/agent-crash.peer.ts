// The agent dies before each operation that it makes, and in the middle of each write, in every
// scenario: the next one ends where one that never died ends, and a further one finds nothing to do.
// For each record of recovery, the same loop fails without it.

import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type BootRecord, loadBootRecord, saveBootRecord } from '../../agent/boot/boot-record.ts';
import { crashLoop, type Forget, forgetLines } from './agent-loop.ts';
import { SCENARIO_NAMES, SCENARIOS, type ScenarioName } from './agent-scenarios.ts';

/** Thousands of syncs: in memory they cost nothing, and a kill loses nothing that was written. */
const TEMPORARY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
let root: string;
before(async () => {
  root = await mkdtemp(join(TEMPORARY, 'billet-crash-'));
});
after(() => rm(root, { recursive: true, force: true }));

for (const [index, name] of SCENARIO_NAMES.entries())
  test(`dead at any point of: ${name}`, async (t) => {
    const scenario = SCENARIOS[name];
    const { points, failures } = await crashLoop({ scenario, dir: join(root, `${index}`) });
    t.diagnostic(`${points.length} points`);
    assert.deepEqual(failures, []);
  });

/** A record of recovery, and a scenario that does not end well without it. */
const NEEDED: readonly { what: string; scenario: ScenarioName; forget: Forget }[] = [
  {
    what: 'that a step on a service has begun',
    scenario: 'a module that nobody wants any more when the agent is back',
    forget: forgetLines(/"begin"/),
  },
  {
    what: 'that it is done',
    scenario: 'the first services of a boot',
    forget: forgetLines(/"done"/),
  },
  {
    what: 'what is attached',
    scenario: 'the removal of a module',
    forget: (dir) => rmSync(join(dir, 'run/services/dns/attached.json'), { force: true }),
  },
  {
    what: 'which generation was good here',
    scenario: 'a release that fails and is gone back from, with the coordinator away',
    forget: forgetRecord({ good: null }),
  },
  {
    what: 'which generation was rejected here',
    scenario: 'a release that fails and is gone back from, with the coordinator away',
    forget: forgetRecord({ rejected: [] }),
  },
  {
    what: 'what has passed its probes in this boot',
    scenario: 'a release that fails where nothing was ever confirmed',
    forget: (dir) => rmSync(join(dir, 'run/reconcile.json'), { force: true }),
  },
  {
    what: 'the version floors',
    scenario: 'a release that fails and is gone back from, with the coordinator away',
    forget: forgetRecord({ floors: {} }),
  },
];

for (const [index, { what, scenario, forget }] of NEEDED.entries())
  test(`nobody remembers ${what}: ${scenario} does not end as it should`, async (t) => {
    const loop = { scenario: SCENARIOS[scenario], dir: join(root, `without-${index}`), forget };
    const { failures } = await crashLoop(loop);
    assert.equal(failures.length, 1);
    t.diagnostic(failures[0] ?? '');
  });

function forgetRecord(change: Partial<BootRecord>): Forget {
  return async (dir) => {
    const state = join(dir, 'state');
    const { record } = await loadBootRecord(state);
    await saveBootRecord(state, { ...record, ...change });
  };
}
