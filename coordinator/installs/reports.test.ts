// Reports of an installation over a real store, without a wire: what is written, and what is not.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { NodeName } from '#shared/schema/ids.ts';
import { InstallReport } from '#shared/schema/install-report.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { createInstance, getInstance } from '../nodes/instance-writes.ts';
import { createNode } from '../nodes/node-writes.ts';
import { records as openRecords } from '../records.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { orderInstall } from './order-writes.ts';
import { installReports } from './reports.ts';

const SEALED = Buffer.alloc(48, 7).toString('base64');

async function setUp(t: TestContext) {
  const store = sqliteStore({ path: ':memory:' });
  t.after(() => store.close());
  const records = openRecords(store, systemClock);
  const name = NodeName.parse('web-1');
  const install = { profile: 'single-disk', disk: { serial: 'disk-a' } };
  await createNode(records, 'operator', { name, spec: NodeSpec.parse({ install }) });
  const { id, install: order } = await createInstance(records, 'operator', name);
  const reports = installReports(records);
  const send = async (fields: object) => {
    const report = InstallReport.parse({
      ...{ event: order?.event, bootId: '11111111-2222-4333-8444-555555555555' },
      ...{ state: 'installing', step: 'slot', progress: 0, disk: null, candidates: [] },
      ...{ problem: null, recoveryKey: null },
      ...fields,
    });
    await reports.take((await getInstance(records, id)).record, report);
  };
  const revision = async () => (await store.get('nothing')).revision;
  return { records, id, reports, send, revision };
}

test('how far a step has come is not written, also where each report has the recovery key', async (t) => {
  const { records, id, reports, send, revision } = await setUp(t);
  await send({ step: 'format' });
  await send({ recoveryKey: SEALED });
  const before = await revision();
  for (const progress of [0.3, 0.4, 0.5]) await send({ progress, recoveryKey: SEALED });
  assert.equal(await revision(), before);
  assert.equal((await reports.newest(id))?.report.progress, 0.5);
  // A disk that was encrypted anew has another key, which is kept beside the old one.
  const other = Buffer.alloc(48, 8).toString('base64');
  await send({ progress: 0.5, recoveryKey: other });
  const keys = (await records.recoveryKeys.get(id))?.record.keys ?? [];
  assert.deepEqual(
    keys.map(({ sealed }) => sealed),
    [other, SEALED],
  );
});

test('an order that takes the place of a running one is told to its node with the next report', async (t) => {
  const { records, id, send } = await setUp(t);
  await send({ progress: 0.1 });
  await send({ progress: 0.2 });
  const wish = { wipeId: null, diskSerial: 'disk-b', force: true };
  const { install } = await orderInstall(records, 'operator', id, wish);
  await assert.rejects(send({ progress: 0.3 }), { code: 'CONFLICT', hint: /desired state/ });
  await send({ event: install?.event, step: 'wipe' });
});
