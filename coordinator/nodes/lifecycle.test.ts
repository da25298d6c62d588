import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LifecycleClass } from '#shared/schema/class.ts';
import { ProviderKind } from '#shared/schema/provider.ts';
import { InstanceState } from '#shared/schema/records.ts';
import { after, FOLLOWS, follow, type Happening, needsDrain } from './lifecycle.ts';
import { deadlinesOf, dueDeadline, retryAfterMs, type Waiting } from './lifecycle-deadlines.ts';

const HAPPENINGS = [
  ...['provision', 'install', 'installed', 'contact', 'ready', 'claim', 'drain'],
  ...['resume', 'terminate', 'fail', 'gone'],
] as const satisfies readonly Happening[];
const DAY_MS = 24 * 3_600_000;

/** An instance over time: what happens to it, and what its deadlines make of waiting. */
interface Life extends Waiting {
  readonly now: number;
  readonly states: readonly InstanceState[];
}

const enter = (life: Life, state: InstanceState): Life =>
  state === life.state
    ? life
    : { ...life, state, stateSince: life.now, signalled: 0, states: [...life.states, state] };

const happen = (life: Life, happening: Happening): Life =>
  enter(life, after(life.state, happening));

/** As `meetDeadline` does. */
function meet(life: Life): Life {
  const due = dueDeadline(life, life.now);
  switch (due?.action) {
    case undefined:
      return life;
    case 'signal':
      return { ...life, signalled: due.afterMs };
    case 'fail':
      return happen(life, 'fail');
    case 'terminate':
      return happen(life, 'terminate');
    case 'finish':
      return happen(life, 'gone');
  }
}

/** Looks every minute for two days, as long as nothing comes from outside. */
function wait(life: Life): Life {
  let current = life;
  for (let minute = 0; minute < 2 * 24 * 60; minute += 1)
    current = meet({ ...current, now: current.now + 60_000 });
  return current;
}

const step = fc.oneof(
  fc.record({ happening: fc.constantFrom(...HAPPENINGS) }),
  // The clock may jump, forwards and back.
  fc.record({ passMs: fc.integer({ min: -DAY_MS, max: 2 * DAY_MS }) }),
);

const beginning = fc.record({
  provider: fc.constantFrom(...ProviderKind.options),
  lifecycleClass: fc.constantFrom(...LifecycleClass.options),
});

const lifeOf = (start: Pick<Life, 'provider' | 'lifecycleClass'>): Life => ({
  ...start,
  ...{ state: 'pending', stateSince: 3 * DAY_MS, signalled: 0, now: 3 * DAY_MS },
  states: ['pending'],
});

test('whatever happens in whatever order, an instance moves only along the table', async () => {
  await fc.assert(
    fc.property(beginning, fc.array(step, { maxLength: 40 }), (start, steps) => {
      let life = lifeOf(start);
      for (const one of steps)
        life =
          'happening' in one
            ? happen(life, one.happening)
            : meet({ ...life, now: life.now + one.passMs });
      for (const [at, state] of life.states.entries()) {
        const before = life.states[at - 1];
        if (before !== undefined) assert.equal(follow(before, state), state);
      }
      assert.ok(life.states.filter((state) => state === 'terminated').length <= 1);
    }),
  );
});

test('from wherever it got, left alone it ends, or waits for a person in a state that shows, and the person can end it', async () => {
  /** In which nobody has promised anything: each is shown, and has a command. */
  const WAITS: Readonly<Record<'manual' | 'provided', readonly InstanceState[]>> = {
    manual: ['pending', 'provisioning', 'installing', 'running', 'draining', 'failed'],
    provided: ['running', 'draining', 'failed'],
  };
  await fc.assert(
    fc.property(beginning, fc.array(step, { maxLength: 25 }), (start, steps) => {
      let life = lifeOf(start);
      for (const one of steps)
        life =
          'happening' in one
            ? happen(life, one.happening)
            : { ...life, now: life.now + one.passMs };
      // Back by two days at most, so that waiting is longer.
      const quiet = wait(wait({ ...life, now: Math.max(life.now, life.stateSince) }));
      const waits = WAITS[start.provider === 'manual' ? 'manual' : 'provided'];
      const ends = quiet.state === 'terminated' || waits.includes(quiet.state);
      assert.ok(ends || isUnproven(quiet), `${life.state} became ${quiet.state}`);
      const ended = happen(wait(happen(quiet, 'terminate')), 'terminate');
      assert.equal(happen(ended, 'gone').state, 'terminated');
    }),
    { numRuns: 60 },
  );
});

/** A class that is destroyed by rule tries again and again while its provider proves nothing. */
const isUnproven = ({ provider, lifecycleClass, state }: Life): boolean =>
  provider !== 'manual' && lifecycleClass !== 'persistent' && state === 'terminating';

test('nothing but a person destroys a persistent instance', async () => {
  await fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      let life = lifeOf({ provider: 'local-qemu', lifecycleClass: 'persistent' });
      for (const one of steps) {
        if ('happening' in one && one.happening === 'terminate') continue;
        life = 'happening' in one ? happen(life, one.happening) : wait(life);
        assert.ok(!['terminating', 'terminated'].includes(life.state), life.states.join(' '));
      }
    }),
    { numRuns: 30 },
  );
});

test('each deadline names a cause and a command, and they come in order of time', () => {
  for (const provider of ProviderKind.options)
    for (const lifecycleClass of LifecycleClass.options)
      for (const state of InstanceState.options) {
        const deadlines = deadlinesOf({ provider, lifecycleClass, state });
        const times = deadlines.map(({ afterMs }) => afterMs);
        assert.deepEqual(
          times,
          times.toSorted((a, b) => a - b),
        );
        for (const { action, reason, hint } of deadlines) {
          assert.ok(reason.length > 10);
          if (action !== 'finish') assert.match(hint, /billet|console/);
        }
      }
  // The figures of the design, for machines of a provider.
  const first = (state: InstanceState) =>
    (deadlinesOf({ provider: 'local-qemu', lifecycleClass: 'persistent', state })[0]?.afterMs ??
      0) / 60_000;
  const states = ['pending', 'provisioning', 'bootstrapping', 'draining', 'terminating'] as const;
  assert.deepEqual(states.map(first), [5, 10, 5, 30, 5]);
});

test('a deadline is signalled once, and later ends the wait', () => {
  const at = (hours: number, signalled = 0) => {
    const common = { provider: 'manual', lifecycleClass: 'persistent', stateSince: 0 } as const;
    return dueDeadline({ ...common, state: 'bootstrapping', signalled }, hours * 3_600_000);
  };
  assert.equal(at(0.2), null);
  assert.equal(at(0.3)?.action, 'signal');
  assert.equal(at(0.3, 15 * 60_000), null);
  assert.equal(at(25, 15 * 60_000)?.action, 'fail');
  assert.throws(() => follow('terminated', 'running'), { code: 'INTERNAL' });
  for (const state of InstanceState.options)
    for (const happening of HAPPENINGS) {
      const next = after(state, happening);
      assert.ok(next === state || FOLLOWS[state].includes(next));
    }
});

test('what was seen empty waits for a person, and is no news', () => {
  const common = { provider: 'local-qemu', lifecycleClass: 'persistent', stateSince: 0 } as const;
  const draining = { ...common, state: 'draining', signalled: 0 } as const;
  assert.equal(dueDeadline({ ...draining, drained: false }, DAY_MS)?.action, 'signal');
  assert.equal(dueDeadline({ ...draining, drained: true }, DAY_MS), null);
});

test('retries wait longer and longer, up to a minute', () => {
  const waits = [0, 1, 2, 3, 4, 5, 6, 7, 500].map(retryAfterMs);
  assert.deepEqual(waits, [0, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
});

test('what was ready and is not proven empty needs a drain first; what waits in a pool has nothing to lose', () => {
  const node = { pool: null };
  assert.equal(needsDrain({ ...node, state: 'running', drained: false }), true);
  assert.equal(needsDrain({ ...node, state: 'draining', drained: false }), true);
  assert.equal(needsDrain({ ...node, state: 'draining', drained: true }), false);
  for (const state of ['pending', 'provisioning', 'bootstrapping', 'failed'] as const)
    assert.equal(needsDrain({ ...node, state, drained: false }), false);
  assert.equal(needsDrain({ pool: 'edge', state: 'running', drained: false }), false);
});
