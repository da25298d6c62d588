import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { Facts } from '#shared/schema/facts.ts';
import { linuxHost } from './host.ts';

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'billet-host-'));
});
after(() => rm(root, { recursive: true }));

async function put(path: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}

test('facts are what /proc and /sys say, and what they do not say is left out', async () => {
  const host = linuxHost({ root, architecture: 'x86_64' });
  await put('proc/sys/kernel/osrelease', '6.12.1\n');
  await put(
    'proc/cpuinfo',
    'processor\t: 0\nmodel name\t: A CPU\n\nprocessor\t: 1\nmodel name\t: A CPU\n',
  );
  await put('proc/meminfo', 'MemTotal:        2048 kB\nMemAvailable:    1024 kB\n');
  await put('sys/class/dmi/id/product_uuid', 'ABCDEF00-1111-2222-3333-444444444444\n');
  await put('sys/class/net/eth0/address', '52:54:00:AA:bb:cc\n');
  await put('sys/class/net/eth0/device/vendor', '');
  await put('sys/class/net/lo/address', '00:00:00:00:00:00\n');
  await put('sys/block/vda/size', '2048\n');
  await put('sys/block/vda/serial', 'persist-1\n');
  await put('sys/block/vda/queue/rotational', '1\n');
  await put('sys/block/loop0/size', '8\n');
  assert.deepEqual(await host.facts(), {
    architecture: 'x86_64',
    kernelRelease: '6.12.1',
    firmware: 'bios',
    secureBoot: false,
    cpuModel: 'A CPU',
    cpuCount: 2,
    memoryBytes: 2 ** 21,
    dmi: { uuid: 'abcdef00-1111-2222-3333-444444444444' },
    macs: ['52:54:00:aa:bb:cc'],
    disks: [
      {
        ...{ name: 'vda', sizeBytes: 2 ** 20, serial: 'persist-1', rotational: true },
        byId: ['virtio-persist-1'],
      },
    ],
  });
});

test('Secure Boot is what the firmware variable says', async () => {
  const host = linuxHost({ root, architecture: 'x86_64' });
  const variable = 'sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';
  await put(variable, Buffer.from([6, 0, 0, 0, 1]));
  const { firmware, secureBoot } = await host.facts();
  assert.deepEqual([firmware, secureBoot], ['uefi', true]);
});

test('this very machine has facts that the wire takes', async () => {
  const host = linuxHost({ architecture: 'x86_64' });
  assert.ok(Facts.parse(await host.facts()).memoryBytes > 2 ** 20);
  assert.match(await host.bootId(), /^[0-9a-f-]{36}$/);
  assert.ok((await host.vitals()).uptimeSeconds > 0);
});
