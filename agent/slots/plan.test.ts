// What becomes of the slots of a machine whose loader counts as systemd-boot does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Digest, sha256 } from '#shared/digest.ts';
import { type Entry, entryName, freshEntry, outranks, parseEntry, TRIES } from './entry-name.ts';
import {
  hasFailed,
  otherSlot,
  planSlots,
  type SeenSlot,
  type SeenSlots,
  type SlotName,
  type WantedImage,
} from './plan.ts';

const IMAGES = ['x', 'y', 'z'].map((name) => sha256(name));
const [X = sha256(''), Y = sha256('')] = IMAGES;
const EMPTY: SeenSlot = { entry: null, manifest: null, intact: false, good: false, litter: [] };
const holds = (manifest: Digest, entry: Entry, more: Partial<SeenSlot> = {}): SeenSlot => ({
  ...{ entry, manifest, intact: true, good: false, litter: [] },
  ...more,
});
const counted = (generation: number, triesLeft: number | null): Entry => ({
  generation,
  triesLeft,
  triesDone: 0,
});

/** The steps, done to a model of the two file systems. Throws where no slot that boots would be left. */
function take(seen: SeenSlots, wanted: WantedImage): SeenSlots {
  const slots = { ...seen.slots };
  const boots = () => (['a', 'b'] as const).some((slot) => slots[slot].entry && slots[slot].intact);
  const could = boots();
  for (const step of planSlots(seen, wanted)) {
    const at = slots[step.slot];
    if (step.kind === 'clear') slots[step.slot] = { ...at, litter: [] };
    else if (step.kind === 'write')
      slots[step.slot] = holds(wanted.manifest ?? X, freshEntry(step.generation));
    else if (step.kind === 'copy')
      slots[step.slot] = { ...slots[otherSlot(step.slot)], entry: freshEntry(step.generation) };
    else if (at.entry === null) assert.fail(`${step.kind} of nothing`);
    else if (step.kind === 'renumber')
      slots[step.slot] = { ...at, entry: freshEntry(step.generation) };
    else if (step.kind === 'retire')
      slots[step.slot] = { ...at, entry: { ...at.entry, triesLeft: 0 } };
    else slots[step.slot] = { ...at, good: true, entry: freshEntry(at.entry.generation) };
    assert.ok(!could || boots(), `nothing boots after ${JSON.stringify(step)}`);
  }
  return { ...seen, slots };
}

/** Boot Loader Specification, "Sorting" and "Boot counting": which slot, and its counter after it. */
function load({ slots }: SeenSlots): SlotName {
  const { a, b } = slots;
  if (a.entry === null || b.entry === null) return a.entry === null ? 'b' : 'a';
  return outranks(b.entry, a.entry) ? 'b' : 'a';
}

const entry = fc.record({
  generation: fc.integer({ min: 0, max: 12 }),
  triesLeft: fc.option(fc.integer({ min: 0, max: TRIES }), { nil: null }),
  triesDone: fc.integer({ min: 0, max: TRIES }),
});
const slot = fc.oneof(
  fc.constant(EMPTY),
  fc.record({
    entry,
    manifest: fc.option(fc.constantFrom(...IMAGES), { nil: null }),
    intact: fc.boolean(),
    good: fc.boolean(),
    litter: fc.constantFrom([], ['.billet-draft']),
  }),
);
const seenSlots = fc.record({
  running: fc.constantFrom('a' as const, 'b' as const),
  slots: fc.record({ a: slot, b: slot }),
});
const wantedImage = fc.record({
  generation: fc.integer({ min: 1, max: 12 }),
  manifest: fc.option(fc.constantFrom(...IMAGES), { nil: null }),
  good: fc.boolean(),
});
const consistent = ({ slots: { a, b } }: SeenSlots) =>
  [a, b].every((each) => !each.intact || each.manifest !== null) &&
  (a.entry === null || b.entry === null || a.entry.generation !== b.entry.generation);

test('every step taken, nothing is left to do, and what boots is never given up', async () => {
  await fc.assert(
    fc.property(seenSlots.filter(consistent), wantedImage, (seen, wanted) => {
      // Some things show only once others are done: a copy needs something whole to copy from.
      let now = seen;
      for (let pass = 0; pass < 4 && planSlots(now, wanted).length > 0; pass += 1)
        now = take(now, wanted);
      assert.deepEqual(planSlots(now, wanted), []);
    }),
    { numRuns: 500 },
  );
});

test('the loader takes the wanted boot image next, unless that has failed', async () => {
  await fc.assert(
    fc.property(seenSlots.filter(consistent), wantedImage, (seen, wanted) => {
      const { manifest } = wanted;
      fc.pre(manifest !== null && seen.slots[seen.running].entry !== null);
      let now = seen;
      for (let pass = 0; pass < 4; pass += 1) now = take(now, wanted);
      const chosen = now.slots[load(now)];
      const exhausted = now.slots[now.running].entry?.triesLeft === 0;
      assert.ok(hasFailed(now, wanted) || chosen.manifest === manifest || exhausted);
    }),
    { numRuns: 500 },
  );
});

const seen = (running: SlotName, a: SeenSlot, b: SeenSlot): SeenSlots => ({
  running,
  slots: { a, b },
});
const want = (generation: number, manifest: Digest | null, good = false): WantedImage => ({
  generation,
  manifest,
  good,
});

test('a fresh installation is left alone until it is good; then it is blessed, and copied to fall back to', () => {
  const installed = seen('a', holds(X, counted(1, 2)), EMPTY);
  assert.deepEqual(planSlots(installed, want(1, X)), []);
  assert.deepEqual(planSlots(installed, want(1, X, true)), [
    { kind: 'bless', slot: 'a' },
    { kind: 'copy', slot: 'b', generation: 0 },
  ]);
});

test('another boot image goes into the other slot, on trial; the one that runs stays as it is', () => {
  const good = seen('a', holds(X, freshEntry(1), { good: true }), holds(X, freshEntry(0)));
  assert.deepEqual(planSlots(good, want(2, Y)), [{ kind: 'write', slot: 'b', generation: 2 }]);
});

test('one that failed is not written again for the same generation, and is for another one', () => {
  const back = seen('a', holds(X, freshEntry(1), { good: true }), holds(Y, counted(2, 0)));
  assert.ok(hasFailed(back, want(2, Y)));
  assert.deepEqual(planSlots(back, want(2, Y)), []);
  assert.ok(!hasFailed(back, want(3, Y)));
  assert.deepEqual(planSlots(back, want(3, Y)), [{ kind: 'renumber', slot: 'b', generation: 3 }]);
});

test('what did not come up makes room for a copy once another one is good; what was retired stays', () => {
  const spent = { generation: 2, triesLeft: 0, triesDone: 3 };
  const here = holds(X, freshEntry(1), { good: true });
  assert.deepEqual(planSlots(seen('a', here, holds(Y, spent)), want(3, X, true)), [
    { kind: 'copy', slot: 'b', generation: 0 },
  ]);
  const retired = holds(Y, spent, { good: true });
  assert.deepEqual(planSlots(seen('a', here, retired), want(3, X, true)), []);
});

test('going back to an older generation retires the one that runs', () => {
  const newer = seen('b', holds(X, freshEntry(1), { good: true }), holds(Y, counted(2, 2)));
  assert.deepEqual(planSlots(newer, want(1, X)), [{ kind: 'retire', slot: 'b' }]);
});

test('a damaged slot is mended from the other one where that has the same, else from the registry', () => {
  const damaged = { intact: false, good: true };
  const twin = seen('a', holds(X, freshEntry(5), damaged), holds(X, freshEntry(0)));
  assert.deepEqual(planSlots(twin, want(5, X, true)), [{ kind: 'copy', slot: 'a', generation: 5 }]);
  const older = seen('a', holds(X, freshEntry(5), damaged), holds(Y, freshEntry(3)));
  assert.deepEqual(planSlots(older, want(5, X, true)), [
    { kind: 'write', slot: 'a', generation: 5 },
  ]);
  const lost = seen('b', holds(X, freshEntry(5), damaged), holds(Y, freshEntry(3)));
  assert.deepEqual(planSlots(lost, want(5, X)), [{ kind: 'write', slot: 'a', generation: 5 }]);
});

test('names are written and read as the Boot Loader Specification has them', () => {
  const names = ['billet-0000000007+2-1.efi', 'billet-0000000007+3.efi', 'billet-0000000000.efi'];
  for (const name of names) assert.equal(entryName(parseEntry(name) ?? freshEntry(9)), name);
  assert.deepEqual(parseEntry('BILLET-0000000007+0-3.EFI'), {
    ...{ generation: 7, triesLeft: 0, triesDone: 3 },
  });
  for (const name of ['billet-7.efi', 'other.efi', '.billet-draft', 'billet-0000000007+.efi'])
    assert.equal(parseEntry(name), null, name);
});
