import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InstanceId, NodeName, ResourceName } from '#shared/schema/ids.ts';
import { capacityOf, type Facts, type InstanceFacts } from './rules.ts';

const [here, workers, worker] = ['here', 'workers', 'worker'].map((name) =>
  ResourceName.parse(name),
) as [ResourceName, ResourceName, ResourceName];
const idOf = (n: number) => InstanceId.parse(`i-${String(n).padStart(16, '0')}`);
const nodeOf = (n: number) => NodeName.parse(`node-${n}`);

const instanceOf = (n: number, more: Partial<InstanceFacts> = {}): InstanceFacts => ({
  ...{ id: idOf(n), node: nodeOf(n), pool: null, state: 'running', reason: '' },
  hasMachine: true,
  ...more,
});

interface Limits {
  readonly provider?: number | null;
  readonly region?: number | null;
  readonly mode?: Facts['providers'][number]['mode'];
  readonly fault?: Facts['providers'][number]['fault'];
  readonly warm?: number;
  readonly nodes?: number;
}

/** One provider, region and pool; `nodes` nodes in it, the first of which have the instances. */
function factsOf(instances: readonly InstanceFacts[], limits: Limits = {}): Facts {
  const { provider = null, region = null, mode = 'real', fault = null, warm = 0 } = limits;
  const used = instances.filter(
    ({ state, hasMachine }) => state !== 'terminated' && hasMachine,
  ).length;
  return {
    at: '2026-11-21T12:00:00.000Z',
    providers: [{ name: 'local-qemu', mode, max: provider, used, fault }],
    regions: [{ name: here, provider: 'local-qemu', max: region, used }],
    pools: [{ name: workers, class: worker, provider: 'local-qemu', region: here, warm }],
    nodes: Array.from({ length: limits.nodes ?? 0 }, (_, n) => ({
      ...{ name: nodeOf(n), pool: workers },
      instance: instances.find(({ id, pool }) => id === idOf(n) && pool === null)?.id ?? null,
    })),
    instances,
  };
}

const three = [0, 1, 2].map((n) => instanceOf(n));

test('a pool has room for as many as the lowest limit above it leaves, and says whose that is', () => {
  const poolOf = (limits: Limits) => capacityOf(factsOf(three, { nodes: 3, ...limits })).pools[0];
  const roomOf = (limits: Limits) => [poolOf(limits)?.free, poolOf(limits)?.bound];
  assert.deepEqual(roomOf({}), [null, null]);
  assert.deepEqual(roomOf({ provider: 10 }), [7, 'provider local-qemu']);
  assert.deepEqual(roomOf({ provider: 10, region: 5 }), [2, 'region here']);
  assert.deepEqual(roomOf({ provider: 4, region: 50 }), [1, 'provider local-qemu']);
  assert.deepEqual(roomOf({ provider: 2 }), [0, 'provider local-qemu']);
  assert.equal(poolOf({})?.states.running, 3);
});

test('a provider that is disabled or cannot be used has room for none', () => {
  for (const limits of [
    { mode: 'disabled' },
    { fault: { code: 'PROVIDER_FAILED', message: 'no qemu', hint: 'install it' } },
  ] as const) {
    const { providers, pools, findings } = capacityOf(factsOf(three, { nodes: 3, ...limits }));
    assert.deepEqual([providers[0]?.free, pools[0]?.free], [0, 0]);
    assert.match(
      findings[0]?.text ?? '',
      /local-qemu (is disabled, and has 3|cannot be used: no qemu)/,
    );
  }
});

test('instances that ended count for nothing; their nodes are without one', () => {
  const ended = [instanceOf(0, { state: 'terminated' }), instanceOf(1)];
  const { states, nodes, regions } = capacityOf(factsOf(ended, { nodes: 2 }));
  assert.deepEqual(states, { running: 1 });
  assert.deepEqual(nodes, { total: 2, withoutInstance: 1 });
  assert.equal(regions[0]?.used, 1);
});

test('machines of no provider take no room', () => {
  const own = [instanceOf(0, { hasMachine: false })];
  assert.equal(capacityOf(factsOf(own, { nodes: 1 })).pools[0]?.used, 0);
});

test('warm instances are of their pool and its region, and no node has them', () => {
  const warm = [
    instanceOf(5, { pool: workers }),
    instanceOf(6, { pool: workers, state: 'provisioning' }),
  ];
  const { pools, regions, findings } = capacityOf(factsOf(warm, { warm: 3, region: 9 }));
  assert.deepEqual(pools[0]?.warm, { wanted: 3, ready: 1, others: 1 });
  assert.deepEqual([pools[0]?.nodes, regions[0]?.used, regions[0]?.free], [0, 2, 7]);
  assert.match(findings[0]?.text ?? '', /keeps 2 of 3 warm instances/);
});

test('each finding names what is full or failed, with a command or a field to change', () => {
  const failed = [...three, instanceOf(3, { state: 'failed', reason: 'no boot' })];
  const { findings } = capacityOf(factsOf(failed, { nodes: 6, provider: 4, region: 4 }));
  const texts = findings.map(({ text }) => text);
  for (const pattern of [
    /^local-qemu is full: 4 of 4 machines$/,
    /^the region here is full: 4 of 4/,
    /^the pool workers has 2 nodes without an instance, and room for 0$/,
    /^1 instances have failed$/,
  ])
    assert.ok(
      texts.some((text) => pattern.test(text)),
      `${pattern}: ${texts}`,
    );
  assert.ok(findings.every(({ hint }) => /billet |providers\.|make room/.test(hint)));
  assert.match(findings.at(-1)?.hint ?? '', new RegExp(`billet instance why ${idOf(3)}`));
});

test('free and used never go below zero or above the limits, and add up where there is one limit', async () => {
  const limit = fc.option(fc.integer({ min: 0, max: 12 }), { nil: null });
  const states = fc.array(fc.constantFrom('running', 'failed', 'terminated', 'pending'), {
    maxLength: 10,
  });
  await fc.assert(
    fc.property(states, limit, limit, (list, provider, region) => {
      const instances = list.map((state, n) => instanceOf(n, { state }));
      const found = capacityOf(factsOf(instances, { provider, region, nodes: list.length }));
      const live = list.filter((state) => state !== 'terminated').length;
      for (const room of [...found.providers, ...found.regions, ...found.pools]) {
        assert.equal(room.used, live);
        assert.ok(room.free === null || room.free >= 0);
        assert.equal(
          room.free === null,
          provider === null && (room === found.providers[0] || region === null),
        );
      }
      const ceilings = [provider, region].flatMap((max) => (max === null ? [] : [max]));
      const least = Math.min(...ceilings) - live;
      if (ceilings.length > 0) assert.equal(found.pools[0]?.free, Math.max(0, least));
    }),
  );
});
