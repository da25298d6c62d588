// The boot image in real machines: what /init promises to the agent and to the system after it. The
// agent's own boot is not tested here.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cacheDirOf } from '#shared/build-cache.ts';
import { systemClock } from '#shared/clock.ts';
import type { Accelerator, QemuSpec } from '#shared/qemu/arguments.ts';
import { probeAccelerator } from '#shared/qemu/drivers/kvm.ts';
import { startMachine } from '#shared/qemu/drivers/qemu.ts';
import { type BootImage, buildBootImage } from './build.ts';

const COMMAND_LINE = 'console=tty0 console=ttyS0 panic=10 quiet';
const signal = AbortSignal.timeout(9 * 60_000);
let dir: string;
let image: BootImage;
let accelerator: Accelerator;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-boot-'));
  const trustPolicy = join(dir, 'trust-policy.json');
  await writeFile(trustPolicy, '{}');
  image = await buildBootImage({
    cacheDir: cacheDirOf(process.env),
    clock: systemClock,
    trustPolicy,
    agentDir: join(import.meta.dirname, 'testdata'),
    signal,
    progress: () => undefined,
  });
  accelerator = await probeAccelerator(image.kernel, image.initramfs, signal);
});
after(() => rm(dir, { recursive: true, force: true }));

/** Runs a machine to its end: its lines, and the seconds to the agent's first one. */
async function boot(name: string, how: Partial<QemuSpec>) {
  const spec = {
    ...{ name, accelerator, memoryMib: 1024, cpus: 2, mac: '52:54:00:00:00:02' },
    uuid: '00000000-0000-4000-8000-000000000001',
    ...how,
  };
  const start = systemClock.monotonic();
  await using machine = await startMachine(spec, join(dir, `${name}.log`), signal);
  const lines: string[] = [];
  let seconds = 0;
  machine.onLine((line) => {
    if (seconds === 0 && line.includes('TEST agent'))
      seconds = (systemClock.monotonic() - start) / 1000;
    lines.push(line.replace(/^.*?(?=TEST |BILLET_)/, ''));
  });
  await machine.exited;
  return { lines, seconds, value: (key: string) => valueIn(lines, key) };
}

const valueIn = (lines: readonly string[], key: string) =>
  lines.map((line) => new RegExp(`^TEST .*?\\b${key}=(\\S+)`).exec(line)?.[1]).find(Boolean);

const direct = () => ({
  direct: { kernel: image.kernel, initramfs: image.initramfs, commandLine: COMMAND_LINE },
});

test('an agent that ends with an error is started again, and its root is then handed over to', async (t) => {
  const { lines, value, seconds } = await boot('direct', direct());
  t.diagnostic(`${accelerator}: agent after ${seconds.toFixed(1)} s`);
  const text = lines.join('\n');
  assert.equal(value('verb'), 'boot', text);
  assert.match(
    text,
    /BILLET_FAILURE boot-start code=INTERNAL message="the agent ended with 3" hint=/,
  );
  assert.equal(lines.filter((line) => line.startsWith('TEST agent')).length, 2);
  assert.equal(value('nic'), 'virtio_net');
  assert.deepEqual([value('lease'), value('dns')], ['10.0.2.15/24', '10.0.2.3']);
  assert.equal(value('label'), 'billet-test');
  assert.equal(value('filesystems'), 'ext4,erofs,overlay');
  assert.deepEqual(
    [value('pid'), value('once'), value('left')],
    ['1', 'kept', '0'],
    'PID 1 is the new init, /run came along, no process of the initramfs is left',
  );
  const moved = lines
    .filter((line) => line.startsWith('TEST moved='))
    .map((line) => line.slice(11));
  assert.deepEqual(moved.sort(), ['dev', 'proc', 'run', 'sys']);
});

for (const nic of ['e1000', 'e1000e'] as const)
  test(`a machine with an ${nic} card comes up over the network, by iPXE and HTTP`, async (t) => {
    const server = createServer((request, response) => void serve(request.url ?? '', response));
    t.after(() => server.close());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const base = `http://10.0.2.2:${(server.address() as AddressInfo).port}`;
    const serve = async (url: string, response: import('node:http').ServerResponse) => {
      const file = url === '/kernel' ? image.kernel : image.initramfs;
      if (url === '/boot.ipxe')
        return response.end(
          `#!ipxe\nkernel ${base}/kernel initrd=initramfs ${COMMAND_LINE}\n` +
            `initrd --name initramfs ${base}/initramfs\nboot\n`,
        );
      response.setHeader('content-length', (await stat(file)).size);
      return createReadStream(file).pipe(response);
    };
    const { lines, value, seconds } = await boot(nic, { nic, bootUrl: `${base}/boot.ipxe` });
    t.diagnostic(`${accelerator}: agent after ${seconds.toFixed(1)} s`);
    assert.equal(value('nic'), nic, lines.join('\n'));
    assert.equal(value('lease'), '10.0.2.15/24');
  });
