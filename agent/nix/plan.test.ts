import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NixClosure, SystemPath } from '#shared/schema/nix-closure.ts';
import { type ClosureStep, closureSteps, type ObservedNix, type WantedNix } from './plan.ts';

const [first, second, third] = ['a', 'b', 'c'].map((letter) =>
  SystemPath.parse(`/nix/store/${letter.repeat(32)}-nixos-system-${letter}`),
) as [SystemPath, SystemPath, SystemPath];

const closure = (storePath: SystemPath, activation = 'switch') =>
  NixClosure.parse({ storePath, activation });
const wanted = (of: NixClosure | null, more: Partial<WantedNix> = {}): WantedNix => ({
  ...{ generation: 2, closure: of, rejected: false, settled: false },
  ...more,
});
const observed = (system: SystemPath, more: Partial<ObservedNix> = {}): ObservedNix => ({
  ...{ running: system, booted: system, profile: system, generations: [system] },
  ...{ held: false, lastGood: null, unfinished: null },
  ...more,
});
const kinds = (steps: readonly ClosureStep[]) => steps.map(({ kind }) => kind);

test('a system is pulled before it is activated, and neither is done again', () => {
  const steps = closureSteps(wanted(closure(second)), observed(first));
  assert.deepEqual(kinds(steps), ['pull-closure', 'activate-closure']);
  assert.deepEqual(closureSteps(wanted(closure(first)), observed(first, { held: true })), []);
});

test('an activation that was begun comes before everything, whatever is wanted by now', () => {
  const unfinished = {
    generation: 1,
    storePath: third,
    activation: 'switch',
    timeoutSeconds: 60,
  } as const;
  for (const system of [closure(second), null]) {
    const steps = closureSteps(wanted(system), observed(first, { unfinished }));
    assert.deepEqual(steps, [{ kind: 'activate-closure', order: unfinished }]);
  }
});

test('without a closure a NixOS machine is left alone', () => {
  assert.deepEqual(closureSteps(wanted(null, { settled: true }), observed(first)), []);
  assert.deepEqual(closureSteps(wanted(null), null), []);
});

test('a rejected system is not tried again: what was there before runs', () => {
  const rejected = wanted(closure(second), { rejected: true });
  const [step] = closureSteps(rejected, observed(second, { lastGood: first, held: true }));
  assert.equal(step?.kind === 'activate-closure' && step.order.storePath, first);
  assert.deepEqual(closureSteps(rejected, observed(first, { lastGood: first })), []);
  assert.deepEqual(closureSteps(rejected, observed(second)), []);
});

test('garbage is what is neither wanted, running, booted, set nor the last good one', () => {
  const settled = wanted(closure(second), { settled: true });
  const node = observed(second, { held: true, booted: first, lastGood: second });
  assert.deepEqual(closureSteps(settled, { ...node, generations: [first, second] }), []);
  const [step] = closureSteps(settled, { ...node, generations: [first, second, third] });
  assert.deepEqual(step?.kind === 'collect-closures' && step.keep, [first, second]);
});

test('taking every step leaves nothing to do, from any state', async () => {
  const path = fc.constantFrom(first, second, third);
  await fc.assert(
    fc.property(
      fc.record({
        running: path,
        booted: path,
        profile: path,
        generations: fc.uniqueArray(path),
        held: fc.boolean(),
        lastGood: fc.option(path, { nil: null }),
        unfinished: fc.option(
          fc.record({
            generation: fc.constant(1),
            storePath: path,
            activation: fc.constantFrom('switch' as const, 'boot' as const, 'test' as const),
            timeoutSeconds: fc.constant(60),
          }),
          { nil: null },
        ),
      }),
      fc.record({
        generation: fc.constant(2),
        closure: fc
          .tuple(path, fc.constantFrom('switch', 'boot', 'test'))
          .map((of) => closure(...of)),
        rejected: fc.boolean(),
        settled: fc.boolean(),
      }),
      (start, of) => {
        let node: ObservedNix = start;
        for (let pass = 0; pass < 4; pass++) node = closureSteps(of, node).reduce(take, node);
        assert.deepEqual(closureSteps(of, node), []);
      },
    ),
  );
});

/** The model of a node: what one step changes, when it works. */
function take(node: ObservedNix, step: ClosureStep): ObservedNix {
  switch (step.kind) {
    case 'pull-closure':
      return { ...node, held: true };
    case 'activate-closure': {
      const { storePath, activation } = step.order;
      const running = activation === 'boot' ? node.running : storePath;
      const profile = activation === 'test' ? node.profile : storePath;
      const generations = [...new Set([...node.generations, ...(profile ? [profile] : [])])];
      return { ...node, running, profile, generations, unfinished: null };
    }
    case 'collect-closures':
      return { ...node, generations: node.generations.filter((each) => step.keep.includes(each)) };
  }
}
