// What goes wrong in the middle of an installation, on real block devices: said whose fault it is, and
// taken up again where it stopped.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Code } from '#shared/errors.ts';
import { BilletError } from '#shared/errors.ts';
import type { Exec } from '../../agent/drivers/exec.ts';
import { type WriteRecord, writeRecord } from '../../agent/install/journal.ts';
import type { DiskVault, InstallPorts, InstallRequest } from '../../agent/install/ports.ts';
import { runInstall } from '../../agent/install/run-install.ts';
import { type TestMachine, testMachine } from './install-disk-fixture.ts';
import { inspect } from './install-inspect.ts';

const signal = new AbortController().signal;

/** Fails with this code, shown and reported; the next run, with all well again, comes to its end. */
async function failsThenInstalls(
  machine: TestMachine,
  code: Code,
  failing: Partial<InstallPorts>,
  mend = () => {},
  write?: WriteRecord,
  next: Partial<InstallRequest> = {},
) {
  const outcome = await runInstall(
    { ...machine.ports, ...failing },
    machine.request(),
    signal,
    write,
  );
  assert.ok(outcome.kind === 'failed', `${outcome.kind}: ${machine.lines.join('\n')}`);
  assert.equal(outcome.problem.code, code, machine.lines.at(-1) ?? '');
  const marker = machine.markers().at(-1);
  assert.ok(marker?.failure && marker.stage === 'install-step' && marker.fields.code === code);
  assert.deepEqual(
    [machine.reports.at(-1)?.state, machine.reports.at(-1)?.problem?.code],
    ['failed', code],
  );
  mend();
  const again = await runInstall(machine.ports, machine.request(next), signal);
  assert.equal(again.kind, 'installed', machine.lines.join('\n'));
  const wipes = machine.lines.filter((line) => line.includes('install-step step=wipe'));
  return { message: outcome.problem.message, wipes: wipes.length };
}

const when =
  (exec: Exec, program: string, instead: Exec): Exec =>
  (argv, inner, input) =>
    (argv.includes(program) ? instead : exec)(argv, inner, input);

test('a disk that goes away in the middle is missed by name, and taken up when it is back', async (context) => {
  const machine = await testMachine(context);
  const disk = await machine.addDisk();
  const unplug: Exec = async () => {
    disk.present = false;
    return { code: 1, stdout: '', stderr: `Failed to open ${disk.device}: No such device` };
  };
  const { exec } = machine.ports;
  const { message, wipes } = await failsThenInstalls(
    machine,
    'INSTALL_DISK_GONE',
    { exec: when(exec, 'systemd-repart', unplug) },
    () => {
      disk.present = true;
    },
  );
  assert.match(message, new RegExp(`${disk.name} went away`));
  assert.equal(wipes, 1);
});

test('a disk that answers with errors is blamed, as a tool and as the kernel say it', async (context) => {
  const machine = await testMachine(context);
  await machine.addDisk();
  const { exec } = machine.ports;
  const failing: Exec = async () => ({
    code: 1,
    stdout: '',
    stderr: 'wipefs: write failed: Input/output error',
  });
  const wiping: Exec = (argv, inner, input) =>
    argv.includes('--all') ? failing(argv, inner, input) : exec(argv, inner, input);
  await failsThenInstalls(machine, 'INSTALL_DISK_FAILED', { exec: wiping });
});

test('a journal that cannot be written stops the installation before anything is lost', async (context) => {
  const machine = await testMachine(context);
  await machine.addDisk();
  let left = 3;
  const write: WriteRecord = async (device, record) => {
    left -= 1;
    if (left < 0) throw Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO' });
    await writeRecord(device, record);
  };
  await failsThenInstalls(machine, 'INSTALL_DISK_FAILED', {}, undefined, write);
});

test('a firmware that takes no entry, and a tool that fails, are failed steps', async (context) => {
  const machine = await testMachine(context);
  await machine.addDisk();
  const refusing = {
    startFirst: async () => {
      throw new BilletError('INSTALL_STEP_FAILED', 'the firmware takes no boot entry', {
        hint: 'x',
      });
    },
  };
  // Its next boot may be from the disk already: firmware finds a loader there without an entry, too.
  const { wipes } = await failsThenInstalls(
    machine,
    'INSTALL_STEP_FAILED',
    { firmware: refusing },
    undefined,
    undefined,
    { fromDisk: true },
  );
  assert.equal(wipes, 1);
});

test('a class that is changed in the middle is refused until it is put back or ordered anew', async (context) => {
  const machine = await testMachine(context);
  const disk = await machine.addDisk();
  await machine.addDisk({ serial: 'disk-2' });
  const { exec } = machine.ports;
  const broken: Exec = async () => ({ code: 1, stdout: '', stderr: 'out of luck' });
  const failing = { ...machine.ports, exec: when(exec, 'systemd-repart', broken) };
  assert.equal((await runInstall(failing, machine.request(), signal)).kind, 'failed');
  const other = machine.request({}, { disk: { serial: 'disk-2' } });
  const changed = await runInstall(machine.ports, other, signal);
  assert.ok(changed.kind === 'refused' && changed.problem.code === 'INSTALL_PLAN_CHANGED');
  assert.match(changed.problem.hint, /billet instance install NAME/);
  const anew = machine.request({}, { disk: { serial: 'disk-2' } }, 'ie-fedcba9876543210');
  assert.equal((await runInstall(machine.ports, anew, signal)).kind, 'installed');
  const back = await runInstall(machine.ports, machine.request(), signal);
  assert.equal(back.kind, 'installed', 'and the first event is still good for its own disk');
  assert.equal((await inspect(machine, disk)).done.length, 7);
});

test('an encrypted disk is sealed once; its recovery key is told until it has arrived', async (context) => {
  const machine = await testMachine(context);
  await machine.addDisk();
  const calls: string[] = [];
  /** The kernel of a test machine need not have dm-crypt: what matters here is the order of calls. */
  const vault: DiskVault = {
    seal: async () => {
      calls.push('seal');
      return 'c2VhbGVk';
    },
    unlock: async (partition) => {
      calls.push('unlock');
      return partition;
    },
    lock: async () => void calls.push('lock'),
  };
  const recoveryRecipient = '-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n';
  const order = machine.request({}, { profile: 'single-disk-encrypted', recoveryRecipient });
  const { exec } = machine.ports;
  const broken: Exec = async () => ({ code: 1, stdout: '', stderr: 'out of luck' });
  const cut = { ...machine.ports, vault, exec: when(exec, 'mke2fs', broken) };
  assert.equal((await runInstall(cut, order, signal)).kind, 'failed');
  assert.deepEqual(calls.splice(0), ['lock', 'seal', 'unlock'], 'no key is in the journal yet');
  const refusing = { ...machine.ports, vault, firmware: { startFirst: async () => assert.fail() } };
  assert.equal((await runInstall(refusing, order, signal)).kind, 'failed');
  assert.deepEqual(calls.splice(0), ['lock', 'seal', 'unlock', 'unlock']);
  const { uplink } = order;
  const deaf = {
    ...order,
    uplink: uplink && { ...uplink, reportInstall: async () => assert.fail() },
  };
  assert.equal((await runInstall({ ...machine.ports, vault }, deaf, signal)).kind, 'installed');
  assert.deepEqual(calls, [], 'finish alone was left');
  assert.equal((await runInstall({ ...machine.ports, vault }, order, signal)).kind, 'present');
  assert.deepEqual(machine.reports.at(-1)?.recoveryKey, 'c2VhbGVk');
  assert.equal(machine.reports.at(-1)?.state, 'installed');
});
