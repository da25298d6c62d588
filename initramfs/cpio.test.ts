import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { cpioOfTree } from './cpio.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'billet-cpio-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function tree(name: string, order: readonly string[]): string {
  const root = join(dir, name);
  mkdirSync(join(root, 'bin'), { recursive: true });
  for (const file of order) writeFileSync(join(root, file), `content of ${file}`);
  symlinkSync('bin/b', join(root, 'link'));
  chmodSync(join(root, 'bin/b'), 0o755);
  return root;
}

const archive = async (root: string) => Buffer.concat(await Array.fromAsync(cpioOfTree(root, 7)));

test('cpio reads the archive back: names in order, modes, root as owner, one time', async () => {
  const bytes = await archive(tree('one', ['bin/b', 'a', 'bin.d']));
  const listed = spawnSync('cpio', ['-itv', '--numeric-uid-gid', '--quiet'], {
    input: bytes,
    env: { PATH: '/usr/bin:/bin', TZ: 'UTC', LC_ALL: 'C' },
    encoding: 'utf8',
  });
  const rows = listed.stdout
    .trim()
    .split('\n')
    .map((row) => row.split(/\s+/));
  assert.deepEqual(
    rows.map(([mode, , uid, gid, size, , , year, ...name]) => [
      mode,
      uid,
      gid,
      size,
      year,
      name.join(' '),
    ]),
    [
      ['-rw-r--r--', '0', '0', '12', '1970', 'a'],
      ['drwxr-xr-x', '0', '0', '0', '1970', 'bin'],
      ['-rwxr-xr-x', '0', '0', '16', '1970', 'bin/b'],
      ['-rw-r--r--', '0', '0', '16', '1970', 'bin.d'],
      ['lrwxrwxrwx', '0', '0', '5', '1970', 'link -> bin/b'],
    ],
  );
});

test('trees made in another order at another time give the same bytes', async () => {
  const one = tree('one', ['bin/b', 'a', 'bin.d']);
  const two = tree('two', ['bin.d', 'a', 'bin/b']);
  utimesSync(join(two, 'a'), 1, 1);
  assert.deepEqual(await archive(one), await archive(two));
});

test('a device node or socket in the tree is refused', async () => {
  const root = tree('one', ['bin/b', 'a']);
  assert.equal(spawnSync('mkfifo', [join(root, 'pipe')]).status, 0);
  await assert.rejects(archive(root), /neither file, directory nor link/);
});
