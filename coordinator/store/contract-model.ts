// What every engine must keep, as tests: random commits against a model of a few lines. Part of the
// suite in contract.ts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { drop, put, seen, type WithStore } from './contract-fixture.ts';
import type { Commit, Entry, Store, Write } from './store.ts';

interface Step {
  readonly writes: readonly Write[];
  /** A key that the commit is conditional on, and whether the condition is to hold. */
  readonly guard: { readonly key: string; readonly holds: boolean } | null;
}

const aKey = fc.constantFrom('a', 'a/1', 'a/2', 'a/2/x', 'b/1', 'b/2', 'c');
const aWrite = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(aKey, fc.nat(9)).map(([key, value]) => put(key, value)) },
  { weight: 1, arbitrary: aKey.map(drop) },
);
const aStep: fc.Arbitrary<Step> = fc.record({
  writes: fc.uniqueArray(aWrite, { selector: (write) => write.key, minLength: 1, maxLength: 4 }),
  guard: fc.option(fc.record({ key: aKey, holds: fc.boolean() })),
});

/** The state after each revision, and the commit that made it. */
interface Model {
  readonly states: Map<string, Entry>[];
  readonly commits: Commit[];
}

/** The revision that the commit gets, or null when its guard is not to hold. */
function step(model: Model, { writes, guard }: Step): number | null {
  const last = model.states.at(-1) ?? new Map<string, Entry>();
  const revision = model.states.length;
  if (guard && !guard.holds) return null;
  const real = writes.filter((write) => write.kind === 'put' || last.has(write.key));
  if (real.length === 0) return revision - 1;
  const state = new Map(last);
  for (const write of real)
    if (write.kind === 'put')
      state.set(write.key, { key: write.key, value: write.value, revision });
    else state.delete(write.key);
  model.states.push(state);
  model.commits.push({ revision, writes: real });
  return revision;
}

async function play(store: Store, steps: readonly Step[]): Promise<Model> {
  const model: Model = { states: [new Map()], commits: [] };
  const running = steps.map((each) => {
    const at = each.guard ? (model.states.at(-1)?.get(each.guard.key)?.revision ?? 0) : 0;
    const conditions = each.guard
      ? [{ key: each.guard.key, revision: each.guard.holds ? at : at + 1 }]
      : [];
    return { expected: step(model, each), done: store.commit(conditions, each.writes) };
  });
  for (const { expected, done } of running) assert.equal((await done)?.revision ?? null, expected);
  return model;
}

const under = (state: Map<string, Entry> | undefined, prefix: string) =>
  [...(state?.values() ?? [])]
    .filter((entry) => entry.key.startsWith(prefix))
    .sort((a, b) => (a.key < b.key ? -1 : 1));

const touching = (commits: readonly Commit[], prefix: string, after: number) =>
  commits
    .filter((commit) => commit.revision > after)
    .map(({ revision, writes }) => ({
      revision,
      writes: writes.filter((write) => write.key.startsWith(prefix)),
    }))
    .filter((commit) => commit.writes.length > 0);

export function modelContract(name: string, withStore: WithStore): void {
  const prefixes = ['', 'a', 'a/', 'b/', 'none'];

  test(`${name}: random commits leave what a model says, at every revision, paged`, () =>
    fc.assert(
      fc.asyncProperty(fc.array(aStep, { maxLength: 25 }), fc.nat(25), (steps, cut) =>
        withStore(async (store) => {
          const { states } = await play(store, steps);
          const compacted = Math.min(cut, states.length - 1);
          await store.compact(compacted);
          for (let revision = compacted; revision < states.length; revision += 1)
            for (const prefix of prefixes) {
              const found: Entry[] = [];
              let page = await store.list(prefix, { limit: 2, revision });
              found.push(...page.entries);
              while (page.next !== null) {
                page = await store.list(prefix, { limit: 2, revision, after: page.next });
                found.push(...page.entries);
              }
              assert.deepEqual(found, under(states[revision], prefix));
            }
        }),
      ),
      { numRuns: 40 },
    ));

  test(`${name}: a watcher resumed at any revision sees every later commit once`, () =>
    fc.assert(
      fc.asyncProperty(fc.array(aStep, { maxLength: 25 }), fc.nat(25), (steps, cut) =>
        withStore(async (store) => {
          const { commits } = await play(store, steps);
          const compacted = Math.min(cut, commits.length);
          await store.compact(compacted);
          for (let after = Math.max(0, compacted - 1); after <= commits.length; after += 1)
            for (const prefix of prefixes) {
              const expected = touching(commits, prefix, after);
              if (expected.length > 0)
                assert.deepEqual(await seen(store, prefix, after, expected.length), expected);
            }
        }),
      ),
      { numRuns: 40 },
    ));
}
