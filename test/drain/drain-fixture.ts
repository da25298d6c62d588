// What the tests of drains over the wire share: a coordinator, and nodes that lease and report as an
// agent does.

import assert from 'node:assert/strict';
import { BilletError } from '../../shared/errors.ts';
import { routes } from '../../shared/routes/table.ts';
import { DrainOrder, DrainReport } from '../../shared/schema/drain.ts';
import type { InstanceId } from '../../shared/schema/ids.ts';
import type { Instance } from '../../shared/schema/records.ts';
import { TaskOutcome } from '../../shared/schema/task.ts';
import {
  bodyOf,
  type Fixture,
  heartbeatOf,
  startFixture,
  type TestNode,
} from '../coordinator/coordinator-fixture.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;
export const WEB = {
  ...{ name: 'web', version: '1.0.0', manifest: DIGEST, image: DIGEST, state: 'attached' },
  persistent: ['/var/lib/web'],
};
export const EMPTY = TaskOutcome.parse({
  outcome: 'succeeded',
  drain: DrainReport.parse({ empty: true, done: ['services stop: web'], stayed: [] }),
});
export const LEFT = TaskOutcome.parse({
  ...{ outcome: 'failed', code: 'DRAIN_INCOMPLETE', message: '1 would not go: pod default/db' },
  drain: {
    ...{ empty: false, done: [] },
    stayed: [{ kind: 'pod', name: 'default/db', reason: 'its disruption budget' }],
  },
});

/** Asserts code, hint and text of an error. */
export const coded =
  (code: string, hint: RegExp, text = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof BilletError, String(error));
    assert.equal(error.code, code);
    assert.match(error.hint, hint);
    assert.match(error.message, text);
    return true;
  };

export type Drains = Awaited<ReturnType<typeof startDrains>>;

export async function startDrains() {
  const fixture: Fixture = await startFixture();
  const { admin } = fixture;

  const beat = (node: TestNode, fields: object = {}) =>
    node.client.call(routes.heartbeat, {
      body: heartbeatOf({ phase: 'ready', generation: 1, ...fields } as never),
    });

  /** An enrolled node that was seen ready. */
  async function running(name: string, fields: object = {}): Promise<TestNode> {
    const node = await fixture.node(name);
    await beat(node, fields);
    assert.equal((await show(node.id)).state, 'running');
    return node;
  }

  const show = async (id: InstanceId): Promise<Instance> =>
    bodyOf(await admin.call(routes.getInstance, { params: { id } }));
  const drain = async (id: InstanceId, fields: object = {}): Promise<Instance> =>
    bodyOf(
      await admin.call(routes.drainInstance, { params: { id }, body: DrainOrder.parse(fields) }),
    );
  const cancel = (id: InstanceId) => admin.call(routes.cancelDrain, { params: { id }, body: {} });
  const uncordon = (id: InstanceId) =>
    admin.call(routes.uncordonInstance, { params: { id }, body: {} });
  const terminate = (id: InstanceId, force = false) =>
    admin.call(routes.terminateInstance, { params: { id }, body: { force, abandon: false } });

  /** Takes the one task that waits, and reports `result`. */
  async function carryOut({ client }: TestNode, kind: string, result: TaskOutcome): Promise<void> {
    const { tasks } = bodyOf(await client.call(routes.leaseTasks, { body: { max: 4 } }));
    const [task] = tasks;
    assert.deepEqual([tasks.length, task?.spec.kind], [1, kind]);
    assert.ok(task);
    const body = { epoch: task.epoch, result };
    await client.call(routes.reportTask, { params: { id: task.id }, body });
  }

  return { fixture, beat, running, show, drain, cancel, uncordon, terminate, carryOut };
}
