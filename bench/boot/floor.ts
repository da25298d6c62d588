// What booting costs without Billet: the same kernel to a bare init, and the files of the base module
// on a plain ext4 disk to the same unit.

import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { QemuSpec } from '#shared/qemu/arguments.ts';
import { appendArchive } from '../../initramfs/build.ts';
import { type PoweredMachine, powerOn } from '../../lab/power.ts';
import { run } from '../../setup/build/drivers/run.ts';
import type { Bench, BenchContext } from '../bench.ts';

const LIMIT_MS = 120_000;

/** Said by the first program, in the words of a marker so that it is seen as one. */
const FIRST_WORD = 'BILLET_MARKER boot-start';

const BARE_INIT = `#!/bin/sh
echo '${FIRST_WORD}'
exec sleep 1000
`;

const DISK_INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
/usr/sbin/modprobe -aq virtio_pci virtio_blk ext4
echo '${FIRST_WORD}'
while ! mount -t ext4 /dev/vda /sysroot; do sleep 0.1; done
for dir in proc sys dev; do mount -o move /$dir /sysroot/$dir; done
mount -t tmpfs tmpfs /sysroot/run
exec switch_root /sysroot /sbin/init
`;

/** The agent's unit with its Node, which says a word instead of running the agent. */
const UNIT = `[Service]
ExecStart=
ExecStart=/usr/lib/billet/node -e "console.log('BILLET_MARKER agent-start');setInterval(()=>{},1000)"
Type=simple
StandardOutput=tty
TTYPath=/dev/ttyS0
`;

export const floor: Bench = {
  name: 'boot/floor',
  limitMs: 300_000,
  needsArtifacts: true,
  async run(context) {
    const bare = await bootWith(context, 'bare', BARE_INIT, []);
    const toInit = await secondsTo(bare, 'boot-start');
    context.progress('the base module as a plain ext4 disk');
    const path = await plainDisk(context);
    const disk = await bootWith(context, 'disk', DISK_INIT, [
      { path, format: 'raw', serial: 'root' },
    ]);
    return [
      {
        name: 'the same kernel and initramfs to a bare init',
        value: toInit,
        unit: 's',
        target: null,
      },
      {
        name: 'the same root on plain ext4 to the same unit',
        value: await secondsTo(disk, 'agent-start'),
        unit: 's',
        target: null,
        note: 'without enrolling, verifying, composing, and without the agent itself',
      },
    ];
  },
};

async function secondsTo(
  machine: PoweredMachine,
  marker: 'boot-start' | 'agent-start',
): Promise<number> {
  await using powered = machine;
  return (await powered.waitFor(marker, { timeoutMs: LIMIT_MS })).atSeconds;
}

async function bootWith(
  { artifacts, dir, signal }: BenchContext,
  name: string,
  init: string,
  disks: QemuSpec['disks'] & {},
): Promise<PoweredMachine> {
  const { boot } = artifacts();
  const tree = join(dir, `${name}-tree`);
  await mkdir(tree);
  await writeFile(join(tree, 'floor-init'), init, { mode: 0o755 });
  const initramfs = join(dir, `${name}-initramfs`);
  await copyFile(boot.initramfs, initramfs);
  await appendArchive(initramfs, tree, signal);
  const spec = {
    name,
    accelerator: 'tcg',
    memoryMib: 2048,
    cpus: 2,
    uuid: '2f1d8c5e-6f0b-4b0e-9d5b-b1113fb1113f',
    mac: '52:54:00:b1:12:01',
    disks,
    direct: {
      kernel: boot.kernel,
      initramfs,
      commandLine: 'console=ttyS0 quiet panic=10 rdinit=/floor-init systemd.show_status=false',
    },
  } as const;
  return await powerOn(spec, join(dir, `${name}.log`), signal);
}

async function plainDisk({ artifacts, dir, signal }: BenchContext): Promise<string> {
  const root = join(dir, 'root');
  await mkdir(root);
  await run(['tar', '-x', '--numeric-owner', '-f', artifacts().layers.base, '-C', root], {
    signal,
  });
  const drop = join(root, 'usr/lib/systemd/system/billet-agent.service.d');
  await mkdir(drop, { recursive: true });
  await writeFile(join(drop, '90-floor.conf'), UNIT);
  const disk = join(dir, 'root.raw');
  await run(['truncate', '-s', '1G', disk], { signal });
  await run(['mkfs.ext4', '-q', '-d', root, disk], { signal });
  await run(['rm', '-rf', root], { signal });
  return disk;
}
