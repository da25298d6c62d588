import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Desired } from '#shared/schema/desired.ts';
import { NodeName, ResourceName } from '#shared/schema/ids.ts';
import { createInstance } from '../nodes/instance-writes.ts';
import { generationKey } from '../nodes/records.ts';
import { MAX_KEYS } from '../store/limits.ts';
import type { Store } from '../store/store.ts';
import { finishRollouts, rolloutStep } from './rollout.ts';
import { ANN, bootImage, moduleRef, type TestCatalog, testCatalog, withEdge } from './testing.ts';
import { deleteResource } from './writes.ts';

const NODES = 50;
const nodeName = (at: number) => NodeName.parse(`n-${String(at).padStart(2, '0')}`);
const NEXT = { platform: 'debian', modules: [moduleRef('base', '2.0.0', 'b')] };

/** Fifty nodes of the template, each with an instance, and one that has nothing to do with it. */
async function fleet(catalog: TestCatalog): Promise<void> {
  await withEdge(catalog);
  for (let at = 0; at < NODES; at += 1) {
    await catalog.node(nodeName(at), { template: 'edge' });
    await createInstance(catalog.records, ANN, nodeName(at));
  }
  await catalog.node('other');
}

/** Each node and its instance should be generation `wanted`, once, and have the bytes of it. */
async function assertAt(catalog: TestCatalog, wanted: number, version: string): Promise<void> {
  const { records } = catalog;
  for (let at = 0; at < NODES; at += 1) {
    const node = await records.nodes.get(nodeName(at));
    assert.equal(node?.record.generation, wanted, nodeName(at));
    const instance = node.record.instance && (await records.instances.get(node.record.instance));
    assert.ok(instance);
    assert.equal(instance.record.generation, wanted);
    const bytes = await records.desired.get(generationKey(instance.record.id, wanted));
    const desired = Desired.parse(
      JSON.parse(Buffer.from(bytes?.record.payload ?? '', 'base64').toString()),
    );
    assert.equal(desired.modules[0]?.version, version);
  }
  assert.equal((await records.nodes.get('other'))?.record.generation, 1);
}

test('a changed template moves its nodes, in commits of at most 100 keys, with events', async () => {
  const sizes: number[] = [];
  const catalog = testCatalog({
    wrap: (store) => ({
      ...store,
      commit(conditions, writes) {
        sizes.push(Math.max(writes.length, conditions.length));
        return store.commit(conditions, writes);
      },
    }),
  });
  try {
    await fleet(catalog);
    await catalog.put('template', 'edge', NEXT);
    sizes.length = 0;
    await finishRollouts(catalog.records);
    await assertAt(catalog, 2, '2.0.0');
    assert.ok(sizes.length > 1 && Math.max(...sizes) <= MAX_KEYS, String(sizes));
    const events = await catalog.events();
    assert.equal(events.filter((kind) => kind === 'node.changed').length, NODES);
    assert.equal(events.filter((kind) => kind === 'template.rolled_out').length, 1);
    assert.equal((await catalog.records.rollouts.list()).items.length, 0);
    // What changes nothing that a node is sent moves nobody.
    await catalog.put('template', 'edge', { ...NEXT, description: 'the same' });
    await finishRollouts(catalog.records);
    await assertAt(catalog, 2, '2.0.0');
  } finally {
    await catalog.close();
  }
});

/** Commits after the first `alive` fail; `revive` lets them through again. */
function mortal(store: Store) {
  let alive = Number.POSITIVE_INFINITY;
  const wrapped: Store = {
    ...store,
    commit(conditions, writes) {
      alive -= 1;
      if (alive < 0) return Promise.reject(new Error('the coordinator is gone'));
      return store.commit(conditions, writes);
    },
  };
  return { wrapped, die: (after: number) => (alive = after), revive: () => (alive = 1e9) };
}

test('a coordinator that ends before any commit of a rollout: the next one finishes it, once', async () => {
  for (let commits = 1; ; commits += 1) {
    let life: ReturnType<typeof mortal> | undefined;
    const catalog = testCatalog({
      wrap(store) {
        life = mortal(store);
        return life.wrapped;
      },
    });
    try {
      await fleet(catalog);
      life?.die(commits);
      await catalog.put('template', 'edge', NEXT);
      const whole = await finishRollouts(catalog.records).then(
        () => true,
        () => false,
      );
      life?.revive();
      await finishRollouts(catalog.records);
      await assertAt(catalog, 2, '2.0.0');
      if (whole) return;
    } finally {
      await catalog.close();
    }
  }
});

test('without the record of the rollout, a change that was cut short never reaches its nodes', async () => {
  const catalog = testCatalog({
    wrap: (store) => ({
      ...store,
      commit: (conditions, writes) =>
        store.commit(
          conditions,
          writes.filter(({ key }) => !key.startsWith('rollouts/')),
        ),
    }),
  });
  try {
    await fleet(catalog);
    await catalog.put('template', 'edge', NEXT);
    await finishRollouts(catalog.records);
    await assert.rejects(assertAt(catalog, 2, '2.0.0'));
    await assertAt(catalog, 1, '1.0.0');
  } finally {
    await catalog.close();
  }
});

test('a template that changes again in the middle of a rollout: every node ends at the last', async () => {
  const catalog = testCatalog();
  try {
    await fleet(catalog);
    await catalog.put('template', 'edge', NEXT);
    assert.equal(await rolloutStep(catalog.records, 'template.edge'), true);
    await catalog.put('template', 'edge', { ...NEXT, modules: [moduleRef('base', '3.0.0', 'c')] });
    await finishRollouts(catalog.records);
    for (let at = 0; at < NODES; at += 1) {
      const node = await catalog.records.nodes.get(nodeName(at));
      assert.equal(node?.record.derived.modules[0]?.version, '3.0.0');
    }
  } finally {
    await catalog.close();
  }
});

test('a new publication, a class and a pool reach their nodes as a template does', async () => {
  const catalog = testCatalog();
  try {
    await withEdge(catalog);
    await catalog.create('class', 'worker', {});
    await catalog.create('pool', 'workers', { class: 'worker' });
    await catalog.node('web-1', { pool: 'workers' });
    const derived = async () => (await catalog.records.nodes.get('web-1'))?.record.derived;
    await catalog.put('class', 'worker', { template: 'edge' });
    await finishRollouts(catalog.records);
    assert.equal((await derived())?.publication, 'debian-1');
    const spec = { platform: 'debian', boot: bootImage('b'), status: 'published' };
    await catalog.create('publication', 'debian-2', spec);
    await finishRollouts(catalog.records);
    assert.equal((await derived())?.bootImage?.kernel, bootImage('b').kernel);
    await catalog.put('publication', 'debian-2', { ...spec, status: 'retired' });
    await finishRollouts(catalog.records);
    assert.equal((await derived())?.publication, 'debian-1');
    await catalog.create('template', 'bare', {});
    await catalog.put('pool', 'workers', { class: 'worker', template: 'bare' });
    await finishRollouts(catalog.records);
    assert.equal((await derived())?.bootImage, null);
    const node = await catalog.records.nodes.get('web-1');
    assert.equal(node?.record.generation, 5);
  } finally {
    await catalog.close();
  }
});

test('a node that the change does not fit stays as it is, and says so; the others follow', async () => {
  const catalog = testCatalog();
  try {
    await withEdge(catalog);
    const own = Array.from({ length: 60 }, (_, at) => moduleRef(`own-${at}`));
    await catalog.node('full', { template: 'edge', modules: own });
    await catalog.node('web-1', { template: 'edge' });
    const modules = Array.from({ length: 5 }, (_, at) => moduleRef(`more-${at}`));
    await catalog.put('template', 'edge', { platform: 'debian', modules });
    await finishRollouts(catalog.records);
    assert.equal((await catalog.records.nodes.get('full'))?.record.generation, 1);
    assert.equal((await catalog.records.nodes.get('web-1'))?.record.generation, 2);
    assert.ok((await catalog.events()).includes('node.left_behind'));
  } finally {
    await catalog.close();
  }
});

test('a node that is made while its template changes, or goes, is never made of the old one', async () => {
  let before: (() => Promise<unknown>) | null = null;
  const catalog = testCatalog({
    wrap: (store) => ({
      ...store,
      async commit(conditions, writes) {
        const first = before;
        before = null;
        await first?.();
        return store.commit(conditions, writes);
      },
    }),
  });
  try {
    await withEdge(catalog);
    before = () => catalog.put('template', 'edge', NEXT);
    const { record } = await catalog.node('web-1', { template: 'edge' });
    assert.equal(record.derived.modules[0]?.version, '2.0.0');
    await catalog.create('template', 'short', {});
    before = () => deleteResource(catalog.records, ANN, 'template', ResourceName.parse('short'));
    await assert.rejects(catalog.node('web-2', { template: 'short' }), {
      code: 'REFERENCE_INVALID',
    });
    assert.equal(await catalog.records.nodes.get('web-2'), null);
  } finally {
    await catalog.close();
  }
});
