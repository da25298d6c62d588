import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseModuleList, resolveModules } from './kernel-modules.ts';

const FILES = {
  dep: [
    'kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz',
    'kernel/fs/jbd2/jbd2.ko.xz:',
    'kernel/lib/crc16.ko.xz:',
    'kernel/crypto/crc32c_generic.ko.xz:',
    'kernel/arch/x86/crypto/crc32c-intel.ko.xz:',
    'kernel/sound/beep.ko.xz:',
  ].join('\n'),
  softdep: '# Soft dependencies\nsoftdep ext4 pre: crc32c post: not-there\n',
  alias: 'alias crc32c crc32c_generic\nalias crc32c crc32c_intel\n',
  builtin: 'kernel/drivers/virtio/virtio_pci.ko\n',
};

test('a module brings what it needs, and what it prefers under any of its names', () => {
  assert.deepEqual(resolveModules(['ext4', 'virtio-pci'], FILES), [
    'kernel/arch/x86/crypto/crc32c-intel.ko.xz',
    'kernel/crypto/crc32c_generic.ko.xz',
    'kernel/fs/ext4/ext4.ko.xz',
    'kernel/fs/jbd2/jbd2.ko.xz',
    'kernel/lib/crc16.ko.xz',
  ]);
});

test('a name that this kernel does not have is refused, and so is an empty modules.dep', () => {
  assert.throws(() => resolveModules(['ext5'], FILES), {
    code: 'KERNEL_MISMATCH',
    message: /ext5/,
  });
  const unread = { ...FILES, dep: FILES.dep.replace(/:.*/g, ':') };
  assert.throws(() => resolveModules(['ext4'], unread), { code: 'KERNEL_MISMATCH' });
});

test('a list has one name a line, with comments', () => {
  assert.deepEqual(parseModuleList('# disks\nnvme\n\nahci # most\n'), ['nvme', 'ahci']);
});
