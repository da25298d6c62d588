import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import type { Coordinator } from '../client.ts';
import { applyPlan } from './apply.ts';
import { recordRoutes } from './kinds.ts';
import type { Plan } from './plan.ts';

const { get, put } = recordRoutes('node');
const BEFORE = { pool: 'edge', macs: [] };
const PLAN: Plan = {
  steps: [
    { action: 'change', kind: 'node', name: 'a', before: BEFORE, spec: { pool: 'b' }, revision: 7 },
  ],
  same: 0,
};

/** A coordinator with one node, as `spec`, whose revision goes on by one at each of `moves` requests. */
function coordinatorWith(spec: Readonly<Record<string, unknown>>, moves: number) {
  const node = { spec, revision: 7 };
  let left = moves;
  const call = async (route: unknown, input: { body?: typeof spec; ifMatch?: string }) => {
    if (route === get) return { ...node };
    assert.equal(route, put);
    if (left > 0) {
      node.revision += 1;
      left -= 1;
    }
    if (input.ifMatch !== `"${node.revision}"`)
      throw new BilletError('CONFLICT', 'at another revision', { hint: 'read it again' });
    node.spec = input.body ?? {};
    return { ...node };
  };
  return { node, coordinator: { call } as unknown as Coordinator };
}

test('a node that moved with its class, and says what the plan has seen, is changed', async () => {
  const { node, coordinator } = coordinatorWith({ macs: [], pool: 'edge' }, 2);
  await applyPlan(coordinator, PLAN, null);
  assert.deepEqual(node.spec, { pool: 'b' });
});

test('what another operator wrote in between is kept: CONFLICT, and how much was done', async () => {
  const written = { ...BEFORE, pool: 'core' };
  const { node, coordinator } = coordinatorWith(written, 1);
  await assert.rejects(applyPlan(coordinator, PLAN, null), {
    code: 'CONFLICT',
    message: /^node\/a: .*\(0 of 1 steps were done\)$/,
  });
  assert.equal(node.spec, written);
});

test('a record that moves without end is left alone after a few attempts', async () => {
  const { node, coordinator } = coordinatorWith(BEFORE, Number.POSITIVE_INFINITY);
  await assert.rejects(applyPlan(coordinator, PLAN, null), { code: 'CONFLICT' });
  assert.equal(node.spec, BEFORE);
  assert.equal(node.revision, 12);
});
