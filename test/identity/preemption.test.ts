// Notices of clouds that they take a machine away, by fake services that answer as their pages say.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { cloudNotices } from '../../agent/report/cloud-notices.ts';
import { preemptionWatch } from '../../agent/report/preemption.ts';
import { handClock } from '../../coordinator/provisioning/testing.ts';
import { azure, DMI, ec2, fakeService, gce } from './identity-metadata-fixture.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const signal = new AbortController().signal;

/** The notice of a machine with this firmware. */
async function noticeOf(t: TestContext, dmi: Readonly<Record<string, string>>, url: string) {
  const root = await mkdtemp(join(tmpdir(), 'billet-notice-'));
  t.after(() => rm(root, { recursive: true }));
  await mkdir(join(root, 'sys/class/dmi/id'), { recursive: true });
  for (const [name, value] of Object.entries(dmi))
    await writeFile(join(root, 'sys/class/dmi/id', name), `${value}\n`);
  const clock = handClock(NOW);
  const urls = { ec2: url, gce: url, azure: url };
  return { clock, notice: await cloudNotices({ root, urls, clock })() };
}

test('EC2, "Spot Instance interruption notices": nothing for a 404, the time of the action else', async (t) => {
  const files: Record<string, string> = {};
  const { url } = await fakeService(t, ec2(files));
  const { notice } = await noticeOf(t, DMI.ec2, url);
  assert.ok(notice);
  assert.equal(await notice(signal), null);
  files['/latest/meta-data/spot/instance-action'] =
    '{"action": "terminate", "time": "2026-11-21T12:02:00Z"}';
  assert.equal(await notice(signal), NOW + 120_000);
  files['/latest/meta-data/spot/instance-action'] = '{}';
  await assert.rejects(notice(signal), { code: 'METADATA_FAILED' });
});

test('Compute Engine, "Preemptible VM instances": 30 s from when it was first said', async (t) => {
  const files = { '/computeMetadata/v1/instance/preempted': 'FALSE' };
  const { url } = await fakeService(t, gce(files));
  const { notice, clock } = await noticeOf(t, DMI.gce, url);
  assert.equal(await notice?.(signal), null);
  files['/computeMetadata/v1/instance/preempted'] = 'TRUE';
  assert.equal(await notice?.(signal), NOW + 30_000);
  clock.forward(5_000);
  assert.equal(await notice?.(signal), NOW + 30_000);
});

test('Azure, "Scheduled Events": the preemption of this machine, and of no other', async (t) => {
  const events = (name: string, type = 'Preempt', at = 'Sat, 21 Nov 2026 12:00:30 GMT') =>
    JSON.stringify({
      DocumentIncarnation: 1,
      Events: [{ EventId: 'A', EventType: type, Resources: [name], NotBefore: at }],
    });
  const files: Record<string, string> = {
    '/metadata/instance/compute/name?format=text': 'vm_1',
    '/metadata/scheduledevents?format=null': events('vm_2'),
  };
  const { url } = await fakeService(t, azure(files));
  const { notice } = await noticeOf(t, DMI.azure, url);
  const said = (text: string) => {
    files['/metadata/scheduledevents?format=null'] = text;
    return notice?.(signal);
  };
  assert.equal(await notice?.(signal), null);
  assert.equal(await said(events('vm_1', 'Reboot')), null);
  assert.equal(await said(events('vm_1')), NOW + 30_000);
  assert.equal(await said(events('vm_1', 'Preempt', '')), 0);
});

test('on metal nobody is asked', async (t) => {
  const { url, log } = await fakeService(t, ec2({}));
  assert.equal((await noticeOf(t, { sys_vendor: 'Dell Inc.' }, url)).notice, null);
  assert.deepEqual(log, []);
});

test('a notice is reported at once, and a service that fails is told of once and asked again', async () => {
  const clock = handClock(NOW);
  const answers = [null, new Error('first'), new Error('second'), NOW + 9, NOW + 9, null];
  const [told, errors]: [(number | null)[], unknown[]] = [[], []];
  const end = new AbortController();
  const watch = preemptionWatch({
    clock,
    notices: async () => async () => {
      const next = answers.shift() ?? null;
      if (next instanceof Error) throw next;
      return next;
    },
    onNotice: () => told.push(watch.notice()),
    onError: (error) => errors.push(error),
  });
  const running = watch.run(end.signal);
  running.catch(() => undefined);
  const turn = async () => {
    for (let n = 0; n < 5; n += 1) await setImmediate();
    clock.forward(5_000);
  };
  for (let n = 0; n < 5; n += 1) await turn();
  assert.deepEqual([told, errors.length, watch.notice()], [[NOW + 9], 1, NOW + 9]);
  for (let n = 0; n < 2; n += 1) await turn();
  assert.equal(watch.notice(), null, 'taken back');
  end.abort();
  await assert.rejects(running);
});
