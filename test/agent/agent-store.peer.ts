// A process that works on a real object store is killed (SIGKILL) at each change that it makes to files,
// on its main thread and on the thread that writes objects: what the store says it holds is whole, the
// same work can be done again, and after a sweep nothing is left over.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Workshop, workshop } from '../../agent/store/module-fixture.ts';
import { openStore } from '../../agent/store/open-store.ts';
import { temporaryDirectory } from '../../shared/artifact/signature/testing.ts';
import type { ModuleRef } from '../../shared/schema/module.ts';
import type { StoreWork } from './agent-store-child.ts';

const at = (name: string) => join(import.meta.dirname, name);
const signal = new AbortController().signal;

interface Bench {
  readonly shop: Workshop;
  readonly root: string;
  readonly one: ModuleRef;
  readonly two: ModuleRef;
}

async function bench(t: TestContext): Promise<Bench> {
  const shop = await workshop(t);
  const make = (name: string, text: string) =>
    shop.make({
      name,
      files: { 'usr/shared': 'x'.repeat(5000), [`usr/${name}`]: text.repeat(3000) },
    });
  const [one, two] = [await make('one', 'a'), await make('two', 'b')];
  return { shop, root: await temporaryDirectory(t), one, two };
}

interface Kill {
  readonly thread: 'main' | 'worker';
  readonly nth: number;
}

/** One process. Resolves with the signal that ended it, and the changes of the counted thread. */
async function work(
  { shop, root }: Bench,
  request: Pick<StoreWork, 'work' | 'dir' | 'modules'>,
  kill: Kill | null,
  counted: Kill['thread'] = 'main',
): Promise<{ ended: string | null; count: number }> {
  const countPath = join(root, 'count');
  rmSync(countPath, { force: true });
  const full: StoreWork = {
    ...{ ...request, layout: shop.layout.dir, policy: shop.policy },
    killAt: kill?.thread === 'main' ? kill.nth : null,
    countPath: kill === null && counted === 'main' ? countPath : null,
  };
  const hook = [
    '--disable-warning=ExperimentalWarning',
    '--import',
    at('agent-store-hook-child.ts'),
  ];
  const argv = [...hook, at('agent-store-child.ts'), JSON.stringify(full)];
  const worker = kill?.thread === 'worker' ? { BILLET_TEST_KILL_WORKER: `${kill.nth}` } : {};
  const counting = kill === null && counted === 'worker' ? { BILLET_TEST_COUNT: countPath } : {};
  const env = { ...process.env, ...worker, ...counting };
  const child = spawn(process.execPath, argv, { stdio: 'inherit', env });
  const [code, ended] = (await once(child, 'exit')) as [number | null, string | null];
  assert.ok(ended === 'SIGKILL' || code === 0, `${code}`);
  return { ended, count: existsSync(countPath) ? statSync(countPath).size : 0 };
}

/** Every file of a store; all of them are named by what they are. */
const listing = (dir: string) =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(dir, name)).isFile())
    .sort();

interface Story {
  readonly work: StoreWork['work'];
  readonly before: readonly ModuleRef[];
  readonly modules: readonly ModuleRef[];
  /** What a sweep keeps afterwards. */
  readonly keep: readonly ModuleRef[];
  /** Every how many changes; 1 without it. */
  readonly step?: number;
  /** Without it what a killed process has left stays. */
  readonly sweep?: boolean;
}

async function killEverywhere(
  own: Bench,
  story: Story,
): Promise<{ kills: number; wrong: string[] }> {
  const [saved, dir] = [join(own.root, 'saved'), join(own.root, 'store')];
  for (const each of [saved, dir]) rmSync(each, { recursive: true, force: true });
  const { policy, layout } = own.shop;
  const first = await openStore({ dir: saved, threads: 1 });
  for (const module of story.before)
    await first.ensureModule(module, { policy, source: layout, signal });
  await first.close();
  const restore = () => {
    rmSync(dir, { recursive: true, force: true });
    cpSync(saved, dir, { recursive: true });
  };
  const request = { work: story.work, dir, modules: story.modules };

  /** Recovers as the agent does: opens, does its work again, sweeps; and looks. */
  async function recovered(): Promise<string[]> {
    const store = await openStore({ dir, threads: 1 });
    try {
      // What it says it holds, it has whole.
      for (const module of [own.one, own.two]) {
        const holds = (await store.modules()).includes(module.manifest);
        const loaded = await store.loadModule(module, { policy });
        if (holds && loaded === null && story.work !== 'collect') return ['a module is half there'];
      }
      for (const module of story.keep)
        await store.ensureModule(module, { policy, source: layout, signal });
      const modules = story.keep.map(({ manifest }) => manifest);
      if (story.sweep !== false) await store.collect({ modules, images: [] });
      return listing(dir);
    } finally {
      await store.close();
    }
  }

  restore();
  await work(own, request, null);
  const expected = await recovered();
  const wrong: string[] = [];
  let kills = 0;
  for (const thread of ['main', 'worker'] as const) {
    restore();
    const { count } = await work(own, request, null, thread);
    for (let nth = 0; nth < count; nth += story.step ?? 1) {
      restore();
      if ((await work(own, request, { thread, nth })).ended === null) continue;
      kills += 1;
      const found = await recovered();
      if (found.join() !== expected.join()) wrong.push(`${thread} ${nth}`);
      // One is enough to show that something is missing.
      if (story.sweep === false && wrong.length > 0) return { kills, wrong };
    }
  }
  return { kills, wrong };
}

const LIMIT = { timeout: 180_000 };

test('a pull that is killed anywhere is done again, and leaves nothing', LIMIT, async (t) => {
  const own = await bench(t);
  const { one, two } = own;
  const story = { work: 'pull', before: [one], modules: [two], keep: [one, two] } as const;
  const { kills, wrong } = await killEverywhere(own, story);
  t.diagnostic(`${kills} kills`);
  assert.ok(kills > 8);
  assert.deepEqual(wrong, []);
});

test(
  'a pull that is killed and not wanted any more leaves litter, unless the store is swept',
  LIMIT,
  async (t) => {
    const own = await bench(t);
    const { one, two } = own;
    const story = { work: 'pull', before: [one], modules: [two], keep: [one] } as const;
    assert.deepEqual((await killEverywhere(own, story)).wrong, []);
    assert.notDeepEqual((await killEverywhere(own, { ...story, sweep: false })).wrong, []);
  },
);

test(
  'a merge and a collection that are killed anywhere are done again, and leave nothing',
  LIMIT,
  async (t) => {
    const own = await bench(t);
    const { one, two } = own;
    const both = [one, two];
    const merge = { work: 'compose', before: both, modules: both, keep: both } as const;
    const collect = { work: 'collect', before: both, modules: [one], keep: [one] } as const;
    for (const story of [merge, collect]) {
      const { kills, wrong } = await killEverywhere(own, story);
      t.diagnostic(`${story.work}: ${kills} kills`);
      assert.ok(kills > 2);
      assert.deepEqual(wrong, []);
    }
  },
);
