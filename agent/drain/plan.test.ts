import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type DrainStep, describe, plan, stayed } from './plan.ts';
import type { Seen } from './seen.ts';
import { container, pod, service } from './testing.ts';

const FULL = { cordonOnly: false };
const NOTHING: Seen = {
  ...{ cluster: null, engine: null, services: [], processes: [] },
  holds: { attaching: true, services: true },
};
const kinds = (steps: readonly DrainStep[]) => steps.map(({ kind }) => kind);

const worlds = fc.record({
  cluster: fc.option(
    fc.record({
      ...{ kind: fc.constant('member' as const), node: fc.constant('n'), cordoned: fc.boolean() },
      pods: fc.array(fc.boolean().map((belongs) => pod('p', belongs))),
    }),
  ),
  engine: fc.option(
    fc.record({
      kind: fc.constant('up' as const),
      containers: fc.array(fc.boolean().map((restarts) => container('c', restarts))),
      units: fc.constant(['docker.socket', 'docker.service']),
      reason: fc.constant(''),
    }),
  ),
  services: fc.array(fc.constantFrom(service('a'), service('b', 'a'), service('c', 'b'))),
  holds: fc.record({ attaching: fc.boolean(), services: fc.constant(false) }),
  processes: fc.constant([]),
});

/** The node after a step that worked. */
function taken(seen: Seen, step: DrainStep): Seen {
  const { cluster, engine } = seen;
  switch (step.kind) {
    case 'hold-attaching':
      return { ...seen, holds: { ...seen.holds, attaching: true } };
    case 'cordon-node':
      return cluster?.kind === 'member'
        ? { ...seen, cluster: { ...cluster, cordoned: true } }
        : seen;
    case 'evict-pods':
      if (cluster?.kind !== 'member') return seen;
      return { ...seen, cluster: { ...cluster, pods: cluster.pods.filter((one) => one.belongs) } };
    case 'stop-containers': {
      const ids = new Set(step.containers.map(({ restarts }) => restarts));
      const left = engine?.containers.filter(({ restarts }) => !ids.has(restarts)) ?? [];
      return engine ? { ...seen, engine: { ...engine, containers: left } } : seen;
    }
    case 'stop-engine':
      return { ...seen, engine: null };
    case 'hold-services':
      return { ...seen, services: [], holds: { attaching: true, services: true } };
  }
}

test('taking every step leaves nothing to do, and nothing on the node', async () => {
  await fc.assert(
    fc.property(worlds, fc.boolean(), (world, cordonOnly) => {
      let seen: Seen = world;
      for (let round = 0; round < 8; round += 1) {
        const steps = plan(seen, { cordonOnly });
        if (steps.length === 0) break;
        for (const step of steps) {
          assert.ok(describe(step).length > 3);
          seen = taken(seen, step);
        }
      }
      assert.deepEqual(plan(seen, { cordonOnly }), []);
      assert.deepEqual(stayed(seen, { cordonOnly }, new Map()), []);
      if (cordonOnly) assert.equal(seen.services.length, world.services.length);
    }),
  );
});

test('no step is taken below something that would not move', () => {
  const services = [service('kubelet')];
  const engine = { kind: 'up', containers: [container('db')], units: ['docker.service'] } as const;
  const member = { kind: 'member', node: 'n', cordoned: true, pods: [pod('web')] } as const;
  const seen: Seen = { ...NOTHING, services, cluster: member, engine: { ...engine, reason: '' } };
  assert.deepEqual(kinds(plan(seen, FULL)), ['evict-pods']);
  const fault: Seen = { ...seen, cluster: { kind: 'fault', reason: 'no answer' } };
  assert.deepEqual(plan(fault, FULL), []);
  const left = stayed(fault, FULL, new Map([['db', 'permission denied']]));
  assert.deepEqual(
    left.map(({ kind, name, reason }) => [kind, name, reason].join(' ')),
    [
      'cluster kubernetes no answer',
      'container db permission denied',
      'service kubelet it stops once nothing runs on it',
    ],
  );
});

test('what the engine would start again stops first, and the engine last', () => {
  const containers = [container('db'), container('cache', true)];
  const up = {
    kind: 'up',
    containers,
    units: ['docker.socket', 'docker.service'],
    reason: '',
  } as const;
  assert.deepEqual(plan({ ...NOTHING, engine: up }, FULL).map(describe), [
    'docker stop cache',
    'docker stop db',
  ]);
  const empty = { ...up, containers: [] };
  assert.deepEqual(plan({ ...NOTHING, engine: empty }, FULL).map(describe), [
    'systemctl stop docker.socket docker.service',
  ]);
  const silent = { ...empty, kind: 'silent', reason: 'it hangs' } as const;
  assert.deepEqual(plan({ ...NOTHING, engine: silent }, FULL), []);
  assert.equal(stayed({ ...NOTHING, engine: silent }, FULL, new Map())[0]?.reason, 'it hangs');
  const loose = { ...empty, units: [] };
  assert.deepEqual(plan({ ...NOTHING, engine: loose }, FULL), []);
  assert.match(stayed({ ...NOTHING, engine: loose }, FULL, new Map())[0]?.reason ?? '', /by hand/);
});

test('a process that is left makes the node not empty', () => {
  const processes = [{ group: 'billet-web-main.service', names: ['nginx'] }];
  assert.deepEqual(stayed({ ...NOTHING, processes }, FULL, new Map()), [
    { kind: 'cgroup', name: 'billet-web-main.service', reason: 'still runs: nginx' },
  ]);
});
