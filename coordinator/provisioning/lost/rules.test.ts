import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LifecycleClass } from '#shared/schema/class.ts';
import { InstanceId } from '#shared/schema/ids.ts';
import { InstanceState } from '#shared/schema/records.ts';
import { LOST_AFTER_MS, lossesOf, preemptionTurn, type Watched } from './rules.ts';

const NOW = 1_900_000_000_000;
const idOf = (n: number) => InstanceId.parse(`i-${String(n).padStart(16, '0')}`);
const one = (n: number, fields: Partial<Watched> = {}): Watched => ({
  ...{ id: idOf(n), group: 'pool/edge', state: 'running', lifecycleClass: 'ephemeral' },
  ...{ worked: true, isQuiet: false, lastSeenAt: NOW, stateSince: NOW - 10 * LOST_AFTER_MS },
  ...fields,
});
const silentSince = (agoMs: number) => ({ lastSeenAt: NOW - agoMs });
const pool = (size: number, silent: number, agoMs = LOST_AFTER_MS) =>
  Array.from({ length: size }, (_, n) => one(n, n < silent ? silentSince(agoMs) : {}));

const anyone = fc
  .record({
    n: fc.integer({ min: 0, max: 9_999 }),
    group: fc.constantFrom('pool/edge', 'pool/core', 'provider/libvirt'),
    state: fc.constantFrom(...InstanceState.options),
    lifecycleClass: fc.constantFrom(...LifecycleClass.options),
    worked: fc.boolean(),
    isQuiet: fc.boolean(),
    agoMs: fc.option(fc.integer({ min: -LOST_AFTER_MS, max: 3 * LOST_AFTER_MS })),
    sinceMs: fc.integer({ min: 0, max: 5 * LOST_AFTER_MS }),
  })
  .map(({ n, agoMs, sinceMs, ...rest }) =>
    one(n, {
      ...rest,
      lastSeenAt: agoMs === null ? null : NOW - agoMs,
      stateSince: NOW - sinceMs,
    }),
  );
const fleet = fc.uniqueArray(anyone, { maxLength: 60, selector: ({ id }) => id });

test('whoever is lost was silent for a whole period, worked, speaks in its state, and may be replaced by rule', async () => {
  await fc.assert(
    fc.property(fleet, (all) => {
      const { lost } = lossesOf(all, NOW, LOST_AFTER_MS);
      for (const id of lost) {
        const it = all.find((each) => each.id === id) ?? assert.fail();
        assert.notEqual(it.lifecycleClass, 'persistent');
        assert.ok(it.worked && !it.isQuiet && ['running', 'draining'].includes(it.state));
        assert.ok(Math.max(it.lastSeenAt ?? 0, it.stateSince) + LOST_AFTER_MS <= NOW);
      }
      assert.equal(new Set(lost).size, lost.length);
    }),
  );
});

test('never more than one, or a tenth, of a group that fell silent together is lost; the rest is held and named', async () => {
  await fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 120 }),
      fc.integer({ min: 0, max: 120 }),
      (size, wanted) => {
        const silent = Math.min(size, wanted);
        const { lost, held } = lossesOf(pool(size, silent), NOW, LOST_AFTER_MS);
        const most = Math.max(1, Math.floor(size / 10));
        assert.equal(lost.length, silent <= most ? silent : 0);
        assert.deepEqual(held, silent <= most ? [] : [{ group: 'pool/edge', silent, of: size }]);
      },
    ),
  );
});

test('one that falls silent long after the others is no part of their outage', () => {
  const old = Array.from({ length: 4 }, (_, n) => one(n, silentSince(9 * LOST_AFTER_MS)));
  const all = [...old, one(9, silentSince(LOST_AFTER_MS)), one(10)];
  const { lost, held } = lossesOf(all, NOW, LOST_AFTER_MS);
  assert.deepEqual(lost, [idOf(9)]);
  assert.equal(held.length, 1);
});

test('persistent ones that are silent count for the outage, and are never lost', () => {
  const persistent = { lifecycleClass: 'persistent', ...silentSince(LOST_AFTER_MS) } as const;
  const all = [one(0, silentSince(LOST_AFTER_MS)), one(1, persistent), one(2)];
  assert.deepEqual(lossesOf(all, NOW, LOST_AFTER_MS).lost, []);
  assert.deepEqual(lossesOf([one(1, persistent)], NOW, LOST_AFTER_MS), { lost: [], held: [] });
});

test('after a start, a hand-over or a jump of the clock nobody is lost for a whole period', async () => {
  await fc.assert(
    fc.property(fleet, fc.integer({ min: 0, max: LOST_AFTER_MS - 1 }), (all, steadyMs) =>
      assert.deepEqual(lossesOf(all, NOW, steadyMs), { lost: [], held: [] }),
    ),
  );
});

test('a notice is a drain while there is time, then an end, and for a persistent instance nothing', async () => {
  const states = fc.constantFrom(...InstanceState.options);
  await fc.assert(
    fc.property(
      fc.record({
        state: states,
        lifecycleClass: fc.constantFrom(...LifecycleClass.options),
        drained: fc.boolean(),
        endsAt: fc.integer({ min: NOW - 100_000, max: NOW + 200_000 }),
      }),
      ({ endsAt, ...instance }) => {
        const preemption = { noticedAt: NOW - 1, endsAt };
        const turn = preemptionTurn({ ...instance, preemption }, NOW);
        const ends = ['terminating', 'terminated'].includes(instance.state);
        if (instance.lifecycleClass === 'persistent' || ends) assert.equal(turn, 'none');
        else if (endsAt <= NOW) assert.equal(turn, 'end');
        else if (turn === 'drain') assert.equal(instance.state, 'running');
        // Whoever waits is draining, and time ends that.
        if (turn === 'none' && instance.lifecycleClass !== 'persistent' && !ends) {
          assert.deepEqual([instance.state, instance.drained], ['draining', false]);
          assert.equal(preemptionTurn({ ...instance, preemption }, endsAt), 'end');
        }
        assert.equal(preemptionTurn({ ...instance, preemption: null }, NOW), 'none');
      },
    ),
  );
});
