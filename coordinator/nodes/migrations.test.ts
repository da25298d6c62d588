import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { records as openRecords } from '../records.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { INSTANCE_MIGRATIONS, NODE_MIGRATIONS } from './migrations.ts';
import { putNodeSpec } from './node-writes.ts';
import { InstanceRecord, NodeRecord } from './records.ts';
import { nodeView } from './views.ts';

/** As version 0.1.0 wrote them, byte for byte. */
const DIGEST = `sha256:${'a'.repeat(64)}`;
const INSTANCE = 'i-0123456789abcdef';
const OLD_NODE = {
  name: 'web-1',
  spec: {
    modules: [
      {
        name: 'base',
        kind: 'system',
        version: '1.0.0',
        repository: 'base',
        manifest: DIGEST,
        image: DIGEST,
      },
    ],
    bootImage: null,
    settings: { hostname: 'web-1' },
    macs: ['52:54:00:12:34:56'],
    dmiUuid: null,
    labels: { rack: 'b7' },
  },
  generation: 3,
  instance: INSTANCE,
  createdAt: 1_700_000_000_000,
};

test('a node that version 1 stored comes to what its spec said, at the same generation', async () => {
  const store = sqliteStore({ path: ':memory:' });
  const records = openRecords(store, systemClock);
  const put = (node: object, name: string) =>
    store.commit(
      [],
      [{ kind: 'put', key: `nodes/${name}`, value: JSON.stringify({ v: 1, record: node }) }],
    );
  try {
    await put(OLD_NODE, 'web-1');
    const { instance: _, ...rest } = OLD_NODE;
    await put({ ...rest, name: 'web-2', instance: null }, 'web-2');
    const found = await records.nodes.get('web-1');
    assert.ok(found);
    const { spec, derived, lives, generation } = found.record;
    assert.deepEqual(derived.modules, OLD_NODE.spec.modules);
    assert.deepEqual(derived.settings, OLD_NODE.spec.settings);
    assert.deepEqual(spec, NodeSpec.parse(OLD_NODE.spec));
    assert.deepEqual([generation, lives, derived.lifecycleClass], [3, 1, 'persistent']);
    assert.equal((await records.nodes.get('web-2'))?.record.lives, 0);
    assert.equal(nodeView(found).set, null);
    // What an older `billet` sends again is still the same node.
    const name = found.record.name;
    const same = { name, spec: NodeSpec.parse(OLD_NODE.spec), ifMatch: null };
    assert.equal((await putNodeSpec(records, 'operator:ann', same)).revision, found.revision);
  } finally {
    await store.close();
  }
});

/** As version 2 wrote it, with an install plan that nothing acted on. */
const OLD_INSTANCE = {
  ...{ id: INSTANCE, node: 'web-1', pool: null, provider: 'manual', lifecycleClass: 'persistent' },
  ...{ state: 'running', reason: '', createdAt: 1, stateSince: 1, signalled: 0, generation: 1 },
  ...{ answer: 0, kept: [1], goods: [1], rejected: [], boot: { ordered: false, token: null } },
  ...{ openTokens: [], facts: null, bootId: null, certificate: null, drained: false },
  ...{ replace: false, preemption: null, machine: null },
};

test('an instance of version 2 installs nothing by itself, and its node is registered as it was', () => {
  const instance = InstanceRecord.parse(INSTANCE_MIGRATIONS[2]?.(OLD_INSTANCE));
  assert.equal(instance.install, null);
  const { instance: _, ...first } = OLD_NODE;
  const second = NODE_MIGRATIONS[1]?.({ ...first, instance: null });
  const node = NodeRecord.parse(NODE_MIGRATIONS[2]?.(second));
  const { macs, serial, assetTag, claimBy } = node.spec;
  assert.deepEqual(
    [macs, serial, assetTag, claimBy],
    [OLD_NODE.spec.macs, null, null, 'identifier'],
  );
});
