// The provider for libvirt against a real libvirtd of its own: domains are defined once, found again,
// and gone at their end; a daemon that hangs or is away is an error with a next step.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { NodeName } from '#shared/schema/ids.ts';
import { MachineShape } from '#shared/schema/provider.ts';
import { runProgram } from '../../coordinator/drivers/exec.ts';
import { libvirtHypervisor } from '../../coordinator/drivers/libvirt.ts';
import { machineNames, newInstanceId, newOperationKey } from '../../coordinator/ids.ts';
import { machineFiles } from '../../coordinator/providers/machine-files.ts';
import { machineProvider } from '../../coordinator/providers/machine-provider.ts';
import type { MachineOrder, Provider } from '../../coordinator/providers/provider.ts';
import { limited } from '../../coordinator/provisioning/limited.ts';
import { type Libvirtd, startLibvirtd } from './libvirtd-fixture.ts';

const signal = AbortSignal.timeout(280_000);
let dir: string;
let libvirtd: Libvirtd;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-libvirt-'));
  libvirtd = await startLibvirtd(dir);
});
after(async () => {
  await libvirtd?.stop();
  await rm(dir, { recursive: true, force: true });
});

const root = () => join(dir, 'machines');
const provider = (uri = libvirtd.uri): Provider =>
  machineProvider({
    ...{ name: 'libvirt', mode: 'real', machinesMax: 4, labelDisk: async () => undefined },
    files: machineFiles(root()),
    hypervisor: libvirtHypervisor({
      type: 'qemu',
      network: { kind: 'user' },
      uri,
      run: runProgram,
    }),
  });

/** A machine that stays in its firmware: nothing answers its network boot. */
function order(): MachineOrder {
  const operation = newOperationKey();
  const shape = MachineShape.parse({
    ...{ cpuCount: 1, memoryBytes: 64 * 2 ** 20, boot: 'network' },
    disks: [{ serial: 'data', sizeBytes: 2 ** 20 }],
  });
  return {
    ...{ operation, instance: newInstanceId(), node: NodeName.parse('web-1'), shape },
    ...machineNames(operation),
    start: { kind: 'network', url: 'http://192.0.2.1/boot.ipxe' },
  };
}

test('a domain is made once, is found by the next process, is off when it is, and is gone at its end', async () => {
  const wanted = order();
  const { operation } = wanted;
  const first = provider();
  await first.check(signal);
  assert.equal(await first.status(operation, signal), 'absent');
  await first.provision(wanted, signal);
  await first.provision(wanted, signal);
  assert.equal(await first.status(operation, signal), 'running');
  const domain = `billet-${operation}`;
  assert.match(await libvirtd.virsh('dumpxml', domain), new RegExp(wanted.uuid));
  const next = provider();
  assert.deepEqual(await next.list(signal), [{ operation, state: 'running' }]);
  await libvirtd.virsh('destroy', domain);
  assert.equal(await next.status(operation, signal), 'off');
  await next.provision(wanted, signal);
  assert.equal(await next.status(operation, signal), 'running');
  // Somebody took the definition away: the machine runs all the same, and is found.
  await libvirtd.virsh('undefine', domain);
  assert.deepEqual(await next.list(signal), [{ operation, state: 'running' }]);
  await next.terminate(operation, signal);
  await next.terminate(operation, signal);
  assert.equal(await next.status(operation, signal), 'absent');
  assert.doesNotMatch(await libvirtd.virsh('list', '--all'), /billet-/);
  assert.deepEqual(await readdir(root()), ['ended']);
  await assert.rejects(next.provision(wanted, signal), { code: 'CONFLICT' });
});

test('a daemon that is away is a fault that says where to look, and nothing counts as gone', async () => {
  const away = provider(`qemu:///system?socket=${join(dir, 'nowhere')}`);
  const wanted = order();
  for (const call of [
    () => away.check(signal),
    () => away.status(wanted.operation, signal),
    () => away.provision(wanted, signal),
    () => away.terminate(order().operation, signal),
    () => away.list(signal),
  ])
    await assert.rejects(call, { code: 'PROVIDER_FAILED', hint: /libvirtd running/ });
});

test('a daemon that hangs is an error in time, and the call that was given up leaves no program behind', async () => {
  const wanted = order();
  const hanging = provider();
  libvirtd.freeze();
  const what = { what: 'a creation at libvirt', limitMs: 1_500, signal };
  await assert.rejects(
    limited(systemClock, what, (stop) => hanging.provision(wanted, stop)),
    { code: 'PROVIDER_TIMEOUT', hint: /billet provider list/ },
  );
  libvirtd.thaw();
  await hanging.provision(wanted, signal);
  assert.equal(await hanging.status(wanted.operation, signal), 'running');
  await hanging.terminate(wanted.operation, signal);
  assert.deepEqual(await hanging.list(signal), []);
});
