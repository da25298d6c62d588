import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KINDS } from '#shared/schema/catalog.ts';
import { type Existing, planApply, type Wanted } from './plan.ts';

const record = fc.record({
  kind: fc.constantFrom(...KINDS),
  name: fc.constantFrom('a', 'b', 'c'),
  spec: fc.record({ x: fc.integer({ min: 0, max: 1 }), y: fc.constantFrom(null, 'z') }),
});
const records = fc.uniqueArray(record, {
  selector: ({ kind, name }) => `${kind}/${name}`,
  maxLength: 12,
});

const keyOf = ({ kind, name }: Pick<Wanted, 'kind' | 'name'>) => `${kind}/${name}`;

/** The records after every step was taken. */
function taken(existing: readonly Existing[], steps: ReturnType<typeof planApply>['steps']) {
  const there = new Map(existing.map((one) => [keyOf(one), one]));
  for (const step of steps) {
    const { kind, name } = step;
    if (step.action === 'delete') assert.ok(there.delete(keyOf(step)));
    else there.set(keyOf(step), { kind, name, spec: step.spec, revision: 2, set: 'fleet' });
  }
  return [...there.values()];
}

test('taking every step leaves nothing to do, and what is not of the set as it was', async () => {
  await fc.assert(
    fc.property(records, records, fc.boolean(), (wanted, present, prune) => {
      const existing = present.map((one, at): Existing => {
        return { ...one, revision: 1, set: at % 2 === 0 ? 'fleet' : null };
      });
      const ofSet = existing.filter(({ set }) => prune && set === 'fleet');
      const plan = planApply(wanted, existing, ofSet);
      const after = taken(existing, plan.steps);
      const again = planApply(
        wanted,
        after,
        after.filter(({ set }) => prune && set === 'fleet'),
      );
      assert.deepEqual(again, { steps: [], same: wanted.length });
      const names = new Set(wanted.map(keyOf));
      for (const one of existing.filter(({ set }) => set === null || !prune))
        if (!names.has(keyOf(one))) assert.ok(after.includes(one));
    }),
  );
});

test('a record is made after every kind that it may name, and deleted before', async () => {
  await fc.assert(
    fc.property(records, records, (wanted, present) => {
      const existing = present.map((one): Existing => ({ ...one, revision: 1, set: 'fleet' }));
      const { steps } = planApply(wanted, existing, existing);
      const ranks = (actions: readonly string[]) =>
        steps
          .filter(({ action }) => actions.includes(action))
          .map(({ kind }) => KINDS.indexOf(kind));
      const made = ranks(['create', 'change']);
      assert.deepEqual(
        made,
        made.toSorted((a, b) => a - b),
      );
      const gone = ranks(['delete']);
      assert.deepEqual(
        gone,
        gone.toSorted((a, b) => b - a),
      );
    }),
  );
});
