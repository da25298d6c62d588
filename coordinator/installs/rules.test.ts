import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Facts } from '#shared/schema/facts.ts';
import { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { InstallPlan } from '#shared/schema/install-plan.ts';
import { INSTALL_STEPS, InstallReport, InstallState } from '#shared/schema/install-report.ts';
import type { InstanceRecord } from '../nodes/records.ts';
import { preview } from './preview/rules.ts';
import type { ReportRecord } from './records.ts';
import { type Absorbed, absorb, isBegun, meaningOf, newOrder, orderOf } from './rules.ts';

const EVENT = 'ie-0123456789abcdef';
const WIPE = 'wipe-0123456789abcdef';
const BOOTS = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];
const plan = InstallPlan.parse({ profile: 'single-disk', disk: { serial: 'a' } });
const order = newOrder(EVENT, { wipeId: null, diskSerial: null }, 0);
/** As far as the rules look. */
const instance = (fields: Partial<InstanceRecord> = {}) =>
  ({
    ...{ id: InstanceId.parse('i-0123456789abcdef'), node: NodeName.parse('web-1') },
    ...{ state: 'bootstrapping', stateSince: 0, signalled: 0, reason: '', install: order },
    ...fields,
  }) as InstanceRecord;
const report = (fields: object = {}) =>
  InstallReport.parse({
    ...{ event: EVENT, bootId: BOOTS[0], state: 'installing', step: 'wipe', progress: 0 },
    ...{ disk: null, candidates: [], problem: null, recoveryKey: null },
    ...fields,
  });
const problem = { code: 'INSTALL_DISK_NONE', text: 'none', hint: 'mend it' };

/** One report after the other, as they are recorded. */
function take(...reports: readonly InstallReport[]) {
  let record = instance();
  let last: ReportRecord | null = null;
  const told: string[] = [];
  for (const [at, each] of reports.entries()) {
    const absorbed: Absorbed | null = absorb(record, last, each, 1_000 * (at + 1));
    if (absorbed === null) continue;
    [record, last] = [absorbed.next, absorbed.kept];
    told.push(...absorbed.news.map(({ kind }) => kind));
  }
  return { record, last, told };
}

test('a report that is sent again, any number of times, changes nothing and is told once', async () => {
  const one = fc.record({
    bootId: fc.constantFrom(...BOOTS),
    state: fc.constantFrom(...InstallState.options),
    step: fc.constantFrom(...INSTALL_STEPS),
    problem: fc.constantFrom(null, problem),
  });
  await fc.assert(
    fc.property(fc.array(one, { maxLength: 8 }), fc.nat(3), (reports, times) => {
      const parsed = reports.map(report);
      const repeated = parsed.flatMap((each) => Array.from({ length: times + 1 }, () => each));
      const [once, again] = [take(...parsed), take(...repeated)];
      assert.deepEqual(again.told, once.told);
      assert.deepEqual(
        [again.record.state, again.record.install?.waits, again.record.reason],
        [once.record.state, once.record.install?.waits, once.record.reason],
      );
    }),
  );
});

test('what fails and is tried again is told once, and another failure once more', () => {
  const failed = report({ state: 'failed', problem: { ...problem, code: 'INSTALL_DISK_FAILED' } });
  const other = report({ state: 'failed', problem: { ...problem, code: 'INSTALL_DISK_GONE' } });
  const { told, record } = take(report(), failed, report(), failed, report(), other);
  assert.deepEqual(told, ['install_started', 'install_failed', 'install_failed']);
  assert.deepEqual([record.state, record.install?.waits], ['installing', false]);
});

test('a refusal, and a dry run, wait for a person; what is done waits for nobody', () => {
  for (const state of ['refused', 'planned']) {
    const { record, told } = take(report({ state, problem: state === 'refused' ? problem : null }));
    assert.deepEqual([record.state, record.install?.waits], ['installing', true]);
    assert.deepEqual(told, [`install_${state}`]);
    assert.equal(isBegun(record.install, { event: EVENT, state: 'refused' }), false);
  }
  const done = take(report(), report({ state: 'installed' }));
  assert.deepEqual([done.record.state, done.record.install?.waits], ['bootstrapping', false]);
  assert.equal(isBegun(done.record.install, null), true);
});

test('candidates are kept while somebody has to decide, and a recovery key never with them', () => {
  const disk = { name: 'vda', sizeBytes: 1 };
  const candidates = [{ disk, matches: true, reason: 'the plan means it' }];
  const recoveryKey = Buffer.from('sealed').toString('base64');
  assert.equal(
    take(report({ state: 'refused', problem, candidates })).last?.report.candidates.length,
    1,
  );
  const going = take(report({ candidates, recoveryKey })).last;
  assert.deepEqual(going?.report.candidates, []);
  assert.ok(!JSON.stringify(going).includes(recoveryKey));
});

test('only how far a step has come leaves the meaning of a report as it is', () => {
  const meaning = (fields: object) => meaningOf(report(fields));
  assert.equal(meaning({ progress: 0.1 }), meaning({ progress: 0.9 }));
  for (const other of [{ step: 'slot' }, { bootId: BOOTS[1] }, { state: 'failed' }, { problem }])
    assert.notEqual(meaning(other), meaning({}));
});

test('an order says what goes over the plan, and nothing is ordered without one', () => {
  const wiped = orderOf({ ...order, wipeId: WIPE }, { ...plan, wipeId: null });
  assert.deepEqual(wiped?.plan, { ...plan, wipeId: WIPE });
  const named = orderOf(
    { ...order, diskSerial: 'b' },
    { ...plan, disk: { model: 'x', serial: 'a' } },
  );
  assert.deepEqual(named?.plan.disk, { serial: 'b' });
  assert.equal(orderOf(order, null), null);
  assert.equal(orderOf(null, plan), null);
});

test('a preview goes by what is known: names and sizes, and what an installer saw on the disks', () => {
  const disks = Facts.shape.disks.parse([
    { name: 'vda', sizeBytes: 8e9, serial: 'a' },
    { name: 'vdb', sizeBytes: 8e9, serial: 'b' },
  ]);
  assert.deepEqual([preview(plan, { disks, reported: [] }).chosen?.name], ['vda']);
  const [vda] = disks;
  assert.ok(vda);
  const reported = [{ disk: vda, matches: true, reason: 'it holds data', wipeId: WIPE }];
  const held = preview(plan, { disks, reported });
  assert.deepEqual(
    [held.problem?.code, held.candidates[0]?.wipeId],
    ['INSTALL_DISK_HOLDS_DATA', WIPE],
  );
  assert.equal(preview({ ...plan, wipeId: WIPE }, { disks, reported }).problem, null);
  const any = preview({ ...plan, disk: { sizeBytesMin: 1 } }, { disks, reported: [] });
  assert.deepEqual([any.chosen, any.problem?.code], [null, 'INSTALL_DISK_AMBIGUOUS']);
});
