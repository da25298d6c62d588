// What is asked of QEMU, and what is believed of its processes; real processes, none of them QEMU.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { machineNames, newOperationKey } from '../ids.ts';
import type { MachinePlan } from '../providers/hypervisor.ts';
import type { Run } from './exec.ts';
import { qemuHypervisor } from './qemu-hypervisor.ts';

const signal = AbortSignal.timeout(20_000);
let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'billet-qemu-'));
});
after(() => rm(root, { recursive: true }));

const planOf = (start: Partial<MachinePlan['start']> = {}): MachinePlan => {
  const operation = newOperationKey();
  const dir = join(root, operation);
  return {
    ...{ operation, title: 'web-1', ...machineNames(operation), cpuCount: 2, memoryMib: 512, dir },
    ...{ console: join(dir, 'console.log'), disks: [{ path: '/d.img', serial: 'data' }] },
    start: {
      ...{ kind: 'direct', kernel: '/k', initramfs: '/i', commandLine: 'quiet' },
      ...{ fwCfg: [], oemStringPaths: [] },
      ...start,
    } as MachinePlan['start'],
  };
};
const hypervisor = (run: Run = async () => ({ code: 0, stdout: '', stderr: '' }), at = root) =>
  qemuHypervisor({ root: at, accelerator: 'tcg', run });
const words = (plan: MachinePlan) => hypervisor().describe(plan) as readonly string[];

test('identity is given by file, as fw_cfg or SMBIOS strings; a network boot names its script', () => {
  const fwCfg = [{ name: 'billet/token', path: '/m/token' }];
  assert.ok(words(planOf({ fwCfg })).includes('name=opt/billet/token,file=/m/token'));
  const smbios = words(planOf({ oemStringPaths: ['/m/token', '/m/ca'] }));
  assert.ok(smbios.includes('type=11,path=/m/token,path=/m/ca'), String(smbios));
  const network = words(planOf({ kind: 'network', url: 'http://10.0.2.2:80/boot/boot.ipxe' }));
  assert.ok(network.some((word) => word.includes('bootfile=http://10.0.2.2:80/boot/boot.ipxe')));
  assert.ok(!network.includes('-kernel'));
  assert.ok(network.some((word) => word.includes('serial=data')));
  assert.ok(network.includes('-daemonize'), 'it outlives the coordinator');
});

test('what QEMU says when it does not start is passed on, with where to look', async () => {
  const run: Run = async () => ({ code: 1, stdout: '', stderr: 'cannot set up guest memory\n' });
  await assert.rejects(hypervisor(run).start(planOf(), signal), {
    code: 'PROVIDER_FAILED',
    message: /cannot set up guest memory/,
    hint: /memory.*accelerator/,
  });
});

test('a state directory too long for sockets is refused before anything is made', async () => {
  const long = join(root, 'a'.repeat(100));
  await assert.rejects(hypervisor(undefined, long).check(signal), {
    code: 'CONFIG_INVALID',
    hint: /shorter stateDir, by \d+ bytes/,
  });
});

test('a machine is its process: found by its UUID, running while its monitor is silent, listed without files, gone when killed', async () => {
  const { operation, uuid, dir } = planOf();
  const qemu = hypervisor();
  assert.equal(await qemu.state(operation, signal), null);
  const idle = ['-e', 'setTimeout(() => null, 60_000); console.log(1)'];
  const child = spawn(process.execPath, [...idle, '--', uuid, join(dir, 'pid')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(child.stdout, 'data');
    assert.equal(await qemu.state(operation, signal), 'running');
    assert.deepEqual(await qemu.list(signal), [operation]);
    let started = 0;
    const counting: Run = async () => {
      started += 1;
      return { code: 0, stdout: '', stderr: '' };
    };
    await hypervisor(counting).start({ ...planOf(), operation }, signal);
    assert.equal(started, 0, 'never a second one');
    const gone = once(child, 'exit');
    await qemu.stop(operation, signal);
    await gone;
    assert.equal(await qemu.state(operation, signal), null);
  } finally {
    child.kill('SIGKILL');
  }
});
