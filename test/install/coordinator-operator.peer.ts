// Installations as an operator works with them: ordered, looked at before, refused, wiped, and the
// recovery key, by `billet` against a real coordinator. The node is its requests.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { billet } from '../../cli/testing.ts';
import { sealRecoveryKey } from '../../shared/recovery/recovery-key.ts';
import { routes } from '../../shared/routes/table.ts';
import { InstanceId } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import {
  bodyOf,
  type Fixture,
  heartbeatOf,
  startFixture,
} from '../coordinator/coordinator-fixture.ts';
import {
  changeNode,
  DISK,
  desiredOf,
  eventsOf,
  installClass,
  instanceOf,
  PLAN,
  reportOf,
  send,
} from './install-fixture.ts';

let fixture: Fixture;
let dir = '';
before(async () => {
  fixture = await startFixture();
  dir = await mkdtemp(join(tmpdir(), 'billet-install-'));
  await installClass(fixture, 'disks');
});
after(async () => {
  await fixture.close();
  await rm(dir, { recursive: true });
});

const WIPE = 'wipe-0123456789abcdef';
const OTHER = { name: 'vdb', sizeBytes: 4e9, serial: 'disk-b', byId: ['virtio-disk-b'] };
const env = () => ({ BILLET_CONTEXT: fixture.coordinator.adminContextPath });
const run = (...args: string[]) => billet(args, { env: env() });

async function lines(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  for (const line of stdout.split('\n')) assert.ok([...line].length <= 80, line);
  return stdout;
}

const refusedReport = (event: string) =>
  reportOf(event, {
    ...{ state: 'refused', step: null },
    candidates: [
      {
        ...{ disk: DISK, matches: true, wipeId: WIPE },
        reason:
          'the plan means it, but it holds a partition table (GPT) with 3 partitions, ext4 and vfat',
      },
      { disk: OTHER, matches: false, reason: 'its serial is disk-b' },
    ],
    problem: {
      code: 'INSTALL_DISK_HOLDS_DATA',
      text: `vda holds data: ${WIPE}`,
      hint: 'give the plan that wipe id, or another disk',
    },
  });

test('a node that refuses shows why, for each disk, and what to run; with the wipe id it goes on', async () => {
  const node = await fixture.node('refused-1', { class: 'disks' });
  const first = await desiredOf(node);
  const event = first.install?.event ?? '';
  for (let time = 0; time < 3; time += 1) await send(node, refusedReport(event));
  const shown = await lines('instance', 'show', 'refused-1');
  assert.match(shown, /^problem +INSTALL_DISK_HOLDS_DATA: vda holds data/m);
  assert.match(shown, /^next .*may be lost: billet instance install refused-1\n? +--wipe/m);
  assert.match(shown, /^vda +7\.5 GiB +disk-a +yes +wipe-0123456789abcdef\n {2}the plan means it/m);
  assert.match(shown, /^vdb +3\.7 GiB +disk-b +no +-\n {2}its serial is disk-b$/m);
  assert.match(await lines('instance', 'list'), /refused-1 +installing +refused/);
  assert.match(await lines('status'), /^installs +1 wait for a person/m);

  assert.match(
    await lines('instance', 'install', 'refused-1', '--wipe', WIPE),
    /looks at the new plan/,
  );
  const next = await desiredOf(node);
  assert.notEqual(next.install?.event, event);
  assert.deepEqual([next.generation, next.install?.plan.wipeId], [first.generation + 1, WIPE]);
  // The same order again, before anything was begun, is the same order.
  await lines('instance', 'install', 'refused-1', '--wipe', WIPE);
  assert.equal((await desiredOf(node)).install?.event, next.install?.event);
  // What the node says of the order before counts no longer.
  await assert.rejects(send(node, refusedReport(event)), { code: 'CONFLICT' });

  await send(node, reportOf(next.install?.event ?? '', { step: 'format', progress: 0.4 }));
  assert.match(await lines('instance', 'list'), /refused-1 +installing 40% +format/);
  assert.match(await lines('instance', 'show', 'refused-1'), /^install +format, 40% done on vda/m);
  const told = (await eventsOf(fixture, node.id)).filter((kind) => kind.includes('install'));
  assert.deepEqual(told, [
    'instance.install_refused',
    'instance.install_ordered',
    'instance.install_started',
  ]);
});

test('the days that a node waited for a plan do not count for what follows', async () => {
  const node = await fixture.node('patient-1', { class: 'disks' });
  await send(node, refusedReport((await desiredOf(node)).install?.event ?? ''));
  const { stateSince, reason } = await instanceOf(fixture, node.id);
  assert.match(reason, /^INSTALL_DISK_HOLDS_DATA/);
  fixture.clock.advance(20 * 3_600_000);
  await lines('instance', 'install', 'patient-1', '--wipe', WIPE);
  const next = await instanceOf(fixture, node.id);
  assert.deepEqual([next.state, next.reason], ['installing', '']);
  assert.ok(Date.parse(next.stateSince) - Date.parse(stateSince) >= 20 * 3_600_000);
});

test('an installation under way is not begun anew unless that is said', async () => {
  const node = await fixture.node('busy-1', { class: 'disks' });
  const event = (await desiredOf(node)).install?.event ?? '';
  await send(node, reportOf(event, { step: 'format' }));
  const { code, stderr } = await run('instance', 'install', 'busy-1', '--wipe', WIPE);
  assert.notEqual(code, 0);
  assert.match(stderr, /installs itself now: format\nhint: .*--force .*\ncode: INSTALL_UNDER_WAY/);
  assert.equal((await desiredOf(node)).install?.event, event);
  await lines('instance', 'install', 'busy-1', '--wipe', WIPE, '--force');
  assert.notEqual((await desiredOf(node)).install?.event, event);
});

test('a machine that runs goes on; it installs, and comes in without a key, at a boot from the medium', async () => {
  const node = await fixture.node('again-1', { class: 'disks' });
  const event = (await desiredOf(node)).install?.event ?? '';
  await send(node, reportOf(event, { state: 'installed', step: null, progress: 1 }));
  await node.client.call(routes.heartbeat, {
    body: heartbeatOf({ phase: 'ready', generation: 1 }),
  });
  assert.equal((await instanceOf(fixture, node.id)).state, 'running');
  assert.match(
    await lines('instance', 'show', 'again-1'),
    /^installed .*on vda \(serial disk-a\)/m,
  );
  assert.match(
    await lines('instance', 'install', 'again-1'),
    /it runs on as it is\.\nBoot it from/,
  );
  const { state, bootOrdered, install } = await instanceOf(fixture, node.id);
  assert.deepEqual([state, bootOrdered, install?.doneAt], ['running', true, null]);
  await send(node, reportOf(install?.event ?? ''));
  assert.equal((await instanceOf(fixture, node.id)).state, 'installing');
  // The end was reported, and lost: what runs its system image is not installing any more.
  const body = heartbeatOf({
    bootId: '33333333-3333-4333-8333-333333333333',
    phase: 'ready',
    generation: 2,
  });
  await node.client.call(routes.heartbeat, { body });
  assert.equal((await instanceOf(fixture, node.id)).state, 'running');
});

test('without a plan nothing is ordered, and the hint says where one goes', async () => {
  const node = await fixture.node('planless-1');
  const { stderr } = await run('instance', 'install', 'planless-1');
  assert.match(stderr, /has no install plan\nhint: .*spec\.install.*\ncode: INSTALL_PLAN_MISSING/s);
  await changeNode(fixture, 'planless-1', NodeSpec.parse({ install: PLAN }));
  assert.equal((await desiredOf(node)).install, null);
  await lines('instance', 'install', 'planless-1');
  assert.equal((await desiredOf(node)).install?.plan.profile, 'single-disk');
});

test('a dry run says which disk is meant and why no other, and orders nothing', async () => {
  const id = await fixture.instance('dry-1', { class: 'disks' });
  const none = await run('instance', 'install', 'dry-1', '--dry-run');
  assert.match(none.stderr, /no machine has told yet which disks.*\ncode: INSTALL_DISKS_UNKNOWN/s);
  const node = await fixture.node('dry-2', { class: 'disks' });
  const { install } = await desiredOf(node);
  await send(node, refusedReport(install?.event ?? ''));
  const data = await lines('instance', 'install', 'dry-2', '--dry-run');
  assert.match(data, /^chosen +vda \(serial disk-a\)$/m);
  assert.match(data, /^problem +INSTALL_DISK_HOLDS_DATA/m);
  assert.match(data, /Nothing was ordered\.$/m);
  const fine = await lines('instance', 'install', 'dry-2', '--dry-run', '--wipe', WIPE);
  assert.doesNotMatch(fine, /problem/);
  const other = await lines('instance', 'install', 'dry-2', '--dry-run', '--disk-serial', 'disk-b');
  assert.match(other, /^chosen +vdb/m);
  const no = await lines('instance', 'install', 'dry-2', '--dry-run', '--disk-serial', 'x');
  assert.match(no, /^problem +INSTALL_DISK_NONE/m);
  assert.deepEqual((await desiredOf(node)).install, install);
  assert.equal((await instanceOf(fixture, InstanceId.parse(id))).install?.report, null);
});

test('a recovery key is stored once, opened only by its operator, and in no event', async () => {
  const prefix = join(dir, 'operator');
  const made = await lines('instance', 'recovery-keygen', prefix);
  assert.match(made, /-----BEGIN PUBLIC KEY-----/);
  assert.equal((await stat(`${prefix}.key`)).mode & 0o777, 0o600);
  const again = await run('instance', 'recovery-keygen', prefix);
  assert.match(again.stderr, /code: ARGUMENT_INVALID/);
  const recoveryRecipient = await readFile(`${prefix}.pub`, 'utf8');
  const node = await fixture.node('sealed-1', { install: { ...PLAN, recoveryRecipient } });
  const { install } = await desiredOf(node);
  const event = install?.event ?? '';
  const sealed = sealRecoveryKey('cbdefghi-jklnrtuv', install?.plan.recoveryRecipient ?? '');
  for (let time = 0; time < 3; time += 1)
    await send(node, reportOf(event, { step: 'format', recoveryKey: sealed }));
  assert.equal(
    await lines('instance', 'recovery-key', 'sealed-1', '--key', `${prefix}.key`),
    'cbdefghi-jklnrtuv\n',
  );
  const printed = await run('instance', 'recovery-key', 'sealed-1', '--sealed');
  assert.equal(printed.stdout, `${sealed}\n`);
  const kinds = await eventsOf(fixture, node.id);
  assert.equal(kinds.filter((kind) => kind === 'instance.recovery_key_stored').length, 1);
  assert.ok(!JSON.stringify(await instanceOf(fixture, node.id)).includes(sealed));
  // Encrypted anew, e.g. after a power cut: the newest counts, and the one before is not lost.
  const newer = sealRecoveryKey('newer', install?.plan.recoveryRecipient ?? '');
  await send(node, reportOf(event, { step: 'format', recoveryKey: newer }));
  const params = { id: node.id };
  const { items } = bodyOf(await fixture.admin.call(routes.listRecoveryKeys, { params }));
  assert.deepEqual(
    items.map((one) => one.sealed),
    [newer, sealed],
  );

  const stranger = join(dir, 'stranger');
  await lines('instance', 'recovery-keygen', stranger);
  const wrong = await run('instance', 'recovery-key', 'sealed-1', '--key', `${stranger}.key`);
  assert.match(wrong.stderr, /code: RECOVERY_KEY_WRONG/);
  const neither = await run('instance', 'recovery-key', 'sealed-1');
  assert.match(neither.stderr, /either --key FILE or --sealed\nhint: .*\ncode: ARGUMENT_INVALID/);
  const nothing = await run('instance', 'recovery-key', 'planless-1', '--sealed');
  assert.match(nothing.stderr, /hint: .*recoveryRecipient\ncode: NOT_FOUND/);
});
