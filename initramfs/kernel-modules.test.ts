import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALWAYS_LOADED, selectModules } from './kernel-modules.ts';

const always = ALWAYS_LOADED.filter((name) => name !== 'ext4');
const builtin = always.map((name) => `kernel/x/${name}.ko`).join('\n');

test('a driver brings what it depends on, softly too, and nothing else comes along', () => {
  const dep = [
    'kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz',
    'kernel/fs/jbd2/jbd2.ko.xz:',
    'kernel/lib/libcrc32c.ko.xz:',
    'kernel/sound/snd-hda.ko.xz:',
  ].join('\n');
  const chosen = selectModules({ dep, softdep: 'softdep ext4 pre: libcrc32c\n', builtin });
  assert.deepEqual(chosen, [
    'kernel/fs/ext4/ext4.ko.xz',
    'kernel/fs/jbd2/jbd2.ko.xz',
    'kernel/lib/libcrc32c.ko.xz',
  ]);
});

test('a kernel that cannot boot a node is refused with the name of what it lacks', () => {
  assert.throws(() => selectModules({ dep: '', softdep: '', builtin }), {
    code: 'UNSUPPORTED',
    message: 'the kernel has no ext4',
  });
});
