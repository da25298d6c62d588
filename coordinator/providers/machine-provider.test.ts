// Machines as files and a hypervisor: made once however often they are asked for, never after their end,
// and never more than there may be. The hypervisor is in memory; the files are real.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import { NodeName } from '#shared/schema/ids.ts';
import { MachineShape, type OperationKey } from '#shared/schema/provider.ts';
import { machineNames, newInstanceId, newOperationKey } from '../ids.ts';
import type { Hypervisor, MachinePlan } from './hypervisor.ts';
import { machineFiles } from './machine-files.ts';
import { disabledProvider, machineProvider } from './machine-provider.ts';
import type { MachineOrder } from './provider.ts';
import { recorder } from './recorder.ts';

const signal = new AbortController().signal;
let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-provider-'));
  await writeFile(join(dir, 'kernel'), 'a kernel');
  await writeFile(join(dir, 'initramfs'), 'an initramfs');
});
after(() => rm(dir, { recursive: true }));

function orderOf(operation: OperationKey, token: string): MachineOrder {
  const shape = MachineShape.parse({
    disks: [{ serial: 'data', sizeBytes: 2 ** 20, label: 'billet-persist' }],
  });
  return {
    ...{ operation, instance: newInstanceId(), node: NodeName.parse('web-1'), shape },
    ...machineNames(operation),
    start: {
      kind: 'direct',
      kernel: join(dir, 'kernel'),
      initramfs: join(dir, 'initramfs'),
      commandLine: 'quiet',
      identity: { token },
    },
  };
}

/** Machines outlive the provider; `at` may throw. */
function fakeHypervisor(machines: Map<string, MachinePlan>, at: (what: string) => void = () => {}) {
  const hypervisor: Hypervisor = {
    describe: (plan) => ({ uuid: plan.uuid }),
    check: async () => undefined,
    async start(plan) {
      at('start');
      machines.set(plan.operation, plan);
      at('started');
    },
    state: async (operation) => (machines.has(operation) ? 'running' : null),
    async stop(operation) {
      at('stop');
      machines.delete(operation);
      at('stopped');
    },
    list: async () => [...machines.keys()] as OperationKey[],
  };
  return hypervisor;
}

interface Made {
  readonly root: string;
  readonly hypervisor: Hypervisor;
  readonly machinesMax?: number;
  readonly label?: () => void;
}
const providerOf = ({ root, hypervisor, machinesMax = 4, label = () => {} }: Made) =>
  machineProvider({
    ...{ name: 'local-qemu', mode: 'real', machinesMax, hypervisor },
    files: machineFiles(root),
    labelDisk: async () => label(),
  });

const coded = (code: string) => (error: unknown) => {
  assert.ok(error instanceof BilletError);
  assert.equal(error.code, code);
  assert.ok(error.hint.length > 10);
  return true;
};

test('a machine is made once however often it is asked for, and its end leaves no file but that it ended', async () => {
  const root = join(dir, 'once');
  const machines = new Map<string, MachinePlan>();
  const provider = providerOf({ root, hypervisor: fakeHypervisor(machines) });
  const order = orderOf(newOperationKey(), 'secret');
  const { operation } = order;
  assert.equal(await provider.status(operation, signal), 'absent');
  await Promise.all([provider.provision(order, signal), provider.provision(order, signal)]);
  assert.equal(await provider.status(operation, signal), 'running');
  const plan = machines.get(operation) ?? assert.fail();
  assert.ok(plan.start.kind === 'direct');
  const [file] = plan.start.fwCfg;
  assert.equal(await readFile(file?.path ?? '', 'utf8'), 'secret');
  assert.equal((await stat(file?.path ?? '')).mode & 0o777, 0o600);
  assert.equal((await stat(join(root, operation, 'disk-data.img'))).size, 2 ** 20);
  await provider.terminate(operation, signal);
  await provider.terminate(operation, signal);
  assert.equal(await provider.status(operation, signal), 'absent');
  assert.deepEqual(await readdir(root), ['ended']);
  await assert.rejects(provider.provision(order, signal), coded('CONFLICT'));
  assert.equal(machines.size, 0);
});

test('a creation that dies at any step is taken up again, with the new token and the disk that was there', async () => {
  for (const where of ['label', 'start', 'started']) {
    const root = join(dir, `dies-${where}`);
    const machines = new Map<string, MachinePlan>();
    const death = (at: string) => {
      if (at === where) throw new Error(`died at ${at}`);
    };
    const dies = fakeHypervisor(machines, death);
    const mortal = providerOf({ root, hypervisor: dies, label: () => death('label') });
    const operation = newOperationKey();
    await assert.rejects(mortal.provision(orderOf(operation, 'first'), signal), /died/);
    const disk = join(root, operation, 'disk-data.img');
    const isLaid = where !== 'label';
    if (isLaid) await writeFile(disk, 'data', { flag: 'r+' });
    const next = providerOf({ root, hypervisor: fakeHypervisor(machines) });
    assert.equal(await next.status(operation, signal), where === 'started' ? 'running' : 'making');
    await next.provision(orderOf(operation, 'second'), signal);
    assert.equal(machines.size, 1);
    const token = where === 'started' ? 'first' : 'second';
    assert.equal(await readFile(join(root, operation, 'identity/token'), 'utf8'), token);
    if (isLaid) assert.equal((await readFile(disk, 'utf8')).slice(0, 4), 'data');
    const left = await readdir(join(root, operation));
    assert.deepEqual(
      left.filter((name) => name.endsWith('.making')),
      [],
    );
  }
});

test('a destruction that dies at any step is taken up again, and nothing is made after it began', async () => {
  for (const where of ['stop', 'stopped']) {
    const root = join(dir, `ends-${where}`);
    const machines = new Map<string, MachinePlan>();
    const order = orderOf(newOperationKey(), 'secret');
    await providerOf({ root, hypervisor: fakeHypervisor(machines) }).provision(order, signal);
    const dies = fakeHypervisor(machines, (at) => {
      if (at === where) throw new Error('died');
    });
    await assert.rejects(
      providerOf({ root, hypervisor: dies }).terminate(order.operation, signal),
      /died/,
    );
    const next = providerOf({ root, hypervisor: fakeHypervisor(machines) });
    assert.notEqual(await next.status(order.operation, signal), 'absent');
    await assert.rejects(next.provision(order, signal), coded('CONFLICT'));
    await next.terminate(order.operation, signal);
    assert.equal(await next.status(order.operation, signal), 'absent');
  }
});

test('one machine more than there may be is refused with nothing made; a hypervisor’s own machine is listed', async () => {
  const root = join(dir, 'quota');
  const machines = new Map<string, MachinePlan>();
  const provider = providerOf({ root, hypervisor: fakeHypervisor(machines), machinesMax: 1 });
  const [one, two] = [orderOf(newOperationKey(), 'a'), orderOf(newOperationKey(), 'b')];
  await provider.provision(one, signal);
  await assert.rejects(provider.provision(two, signal), coded('PROVIDER_QUOTA'));
  assert.equal(await provider.status(two.operation, signal), 'absent');
  await rm(join(root, one.operation), { recursive: true });
  assert.deepEqual(await provider.list(signal), [{ operation: one.operation, state: 'running' }]);
});

test('the recorder writes what would run, and says so after a restart; what is disabled refuses, and says how to switch it on', async () => {
  const root = join(dir, 'recorded');
  const { describe } = fakeHypervisor(new Map());
  const order = orderOf(newOperationKey(), 'secret');
  await providerOf({ root, hypervisor: recorder(root, describe) }).provision(order, signal);
  const again = providerOf({ root, hypervisor: recorder(root, describe) });
  assert.deepEqual(await again.list(signal), [{ operation: order.operation, state: 'running' }]);
  const noted = JSON.parse(await readFile(join(root, order.operation, 'machine.json'), 'utf8'));
  assert.deepEqual(noted, { uuid: order.uuid });
  await again.terminate(order.operation, signal);
  assert.deepEqual(await again.list(signal), []);
  const disabled = disabledProvider('libvirt');
  for (const call of [
    () => disabled.check(signal),
    () => disabled.provision(order, signal),
    () => disabled.status(order.operation, signal),
    () => disabled.terminate(order.operation, signal),
  ])
    await assert.rejects(call, coded('PROVIDER_DISABLED'));
  assert.deepEqual(await disabled.list(signal), []);
});
