// What the installer refuses, on real block devices: each with its code and hint, and nothing written.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Code } from '#shared/errors.ts';
import { InstallReport } from '#shared/schema/install-report.ts';
import { hostExec } from '../../agent/drivers/exec.ts';
import { runInstall } from '../../agent/install/run-install.ts';
import { GIB, type TestMachine, testMachine } from './install-disk-fixture.ts';
import { writesOf } from './install-inspect.ts';

const signal = new AbortController().signal;
type Ask = (machine: TestMachine) => ReturnType<TestMachine['request']>;

/** Refused with this code, shown and reported, and not a byte of any disk changed. */
async function refused(machine: TestMachine, code: Code, ask: Ask = (each) => each.request()) {
  const writes = await writesOf(machine);
  const outcome = await runInstall(machine.ports, ask(machine), signal);
  assert.ok(outcome.kind === 'refused', `${outcome.kind}: ${machine.lines.join('\n')}`);
  assert.equal(outcome.problem.code, code, machine.lines.at(-1) ?? '');
  assert.equal(await writesOf(machine), writes);
  const [marker, report] = [machine.markers().at(-1), machine.reports.at(-1)];
  assert.ok(marker?.failure && marker.stage === 'install-plan' && marker.fields.code === code);
  assert.ok((marker.fields.hint ?? '').length > 10);
  assert.equal(InstallReport.parse(report).state, 'refused');
  assert.equal(report?.problem?.code, code);
  return { message: marker.fields.message ?? '', candidates: report?.candidates ?? [] };
}

const run = async (argv: readonly [string, ...string[]]) => {
  const { code, stderr } = await hostExec(argv, signal);
  assert.equal(code, 0, stderr);
};

test('no disk matches, two do, it is too small, or read-only', async (context) => {
  const machine = await testMachine(context);
  const { name } = await machine.addDisk({ serial: 'a' });
  await machine.addDisk({ serial: 'b', sizeBytes: GIB });
  await machine.addDisk({ serial: 'c', readOnly: true });
  const meaning =
    (disk: object): Ask =>
    (each) =>
      each.request({}, { disk });
  const none = await refused(machine, 'INSTALL_DISK_NONE');
  assert.match(none.message, new RegExp(`${name} \\(virtio-a, 3\\.2 GB\\): its serial is a`));
  assert.equal(none.candidates.length, 3);
  const two = await refused(machine, 'INSTALL_DISK_AMBIGUOUS', meaning({ sizeBytesMin: 2 * GIB }));
  assert.match(two.message, /the plan means it, and loop\d+ too/);
  await refused(machine, 'INSTALL_DISK_TOO_SMALL', meaning({ serial: 'b' }));
  await refused(machine, 'INSTALL_DISK_READ_ONLY', meaning({ byId: 'virtio-c' }));
});

test('it holds data: a file system, a partition table, or bytes without a name', async (context) => {
  const machine = await testMachine(context);
  const { device } = await machine.addDisk();
  await run(['mke2fs', '-q', '-t', 'ext4', '-L', 'precious', device, '256m']);
  const first = await refused(machine, 'INSTALL_DISK_HOLDS_DATA');
  assert.match(first.message, /it holds ext4 "precious" \[wipe-[0-9a-f]{16}\]/);
  const [id] = first.candidates.map(({ wipeId }) => wipeId);
  await refused(machine, 'INSTALL_DISK_HOLDS_DATA', (each) =>
    each.request({}, { wipeId: 'wipe-0123456789abcdef' }),
  );
  await run(['wipefs', '--quiet', '--all', device]);
  await run(['dd', 'status=none', 'if=/dev/zero', `of=${device}`, 'bs=1M', 'count=2']);
  await run(['dd', 'status=none', 'if=/etc/passwd', `of=${device}`, 'seek=100']);
  const second = await refused(machine, 'INSTALL_DISK_HOLDS_DATA', (each) =>
    each.request({}, { wipeId: id }),
  );
  assert.match(
    second.message,
    /it holds data of unknown kind/,
    'and the id of what was there before is void',
  );
  const table =
    'printf "label: gpt\\nsize=64M\\n" | sfdisk --quiet --no-reread --no-tell-kernel "$0"';
  const ids: unknown[] = [second.candidates[0]?.wipeId];
  for (const _ of [1, 2]) {
    await run(['sh', '-c', table, device]);
    const { message, candidates } = await refused(machine, 'INSTALL_DISK_HOLDS_DATA', (each) =>
      each.request({}, { wipeId: ids.at(-1) }),
    );
    assert.match(message, /it holds gpt/);
    ids.push(candidates[0]?.wipeId);
  }
  assert.equal(new Set(ids).size, 3, 'the same partitions in another table are another content');
  const now = { wipeId: ids.at(-1) };
  const outcome = await runInstall(machine.ports, machine.request({}, now), signal);
  assert.equal(outcome.kind, 'installed');
});

test('somebody else uses it, or it carries the installation medium', async (context) => {
  const machine = await testMachine(context);
  const { device } = await machine.addDisk();
  await run(['mke2fs', '-q', '-t', 'ext4', device, '256m']);
  const target = machine.efivars;
  machine.ports.mounts.mount({ source: device, target, type: 'ext4' });
  const used = await refused(machine, 'INSTALL_DISK_IN_USE');
  machine.ports.mounts.unmount(target);
  assert.match(used.message, new RegExp(`is mounted on ${target}`));

  const root = join(machine.dir, 'medium');
  await mkdir(root);
  await run([
    'xorriso',
    '-as',
    'mkisofs',
    '-quiet',
    '-V',
    'BILLET-METAL',
    '-o',
    `${root}.iso`,
    root,
  ]);
  await run(['dd', 'status=none', `if=${root}.iso`, `of=${device}`, 'conv=fsync']);
  const medium = await refused(machine, 'INSTALL_DISK_NONE');
  assert.match(medium.message, /it carries the medium that machines are installed from/);
  assert.equal(medium.candidates[0]?.wipeId, undefined, 'nothing names it for a wipe');
});

test('firmware, profile and boot image have to be such that a disk could be started', async (context) => {
  const machine = await testMachine(context);
  await machine.addDisk();
  const request = machine.request();
  await refused(machine, 'INSTALL_FIRMWARE', () => ({
    ...request,
    facts: { ...request.facts, firmware: 'bios' },
  }));
  const unknown = await refused(machine, 'INSTALL_PROFILE_UNKNOWN', (each) =>
    each.request({}, { profile: 'raid' }),
  );
  assert.match(unknown.message, /single-disk, single-disk-encrypted/);
  const { desired } = request;
  for (const bootImage of [null, { ...machine.shop.image, uki: null }])
    await refused(machine, 'INSTALL_IMAGE_INCOMPLETE', () => ({
      ...request,
      desired: { ...desired, bootImage },
    }));
  await refused(machine, 'RECOVERY_KEY_INVALID', (each) =>
    each.request({}, { profile: 'single-disk-encrypted' }),
  );
});
