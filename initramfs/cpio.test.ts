import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type CpioEntry, cpio } from './cpio.ts';

const entries: CpioEntry[] = [
  { kind: 'file', path: 'usr/bin/tool', mode: 0o755, content: Buffer.from('#!\n') },
  { kind: 'symlink', path: 'bin', target: 'usr/bin' },
  { kind: 'directory', path: 'proc', mode: 0o555 },
  { kind: 'file', path: 'etc/odd', mode: 0o600, content: Buffer.alloc(4097, 7) },
];

test('cpio(1) unpacks what was packed, with modes and parents', () => {
  const dir = mkdtempSync(join(tmpdir(), 'billet-cpio-'));
  try {
    execFileSync('cpio', ['-idm', '--quiet'], { cwd: dir, input: cpio(entries) });
    assert.equal(readFileSync(join(dir, 'usr/bin/tool'), 'utf8'), '#!\n');
    assert.equal(statSync(join(dir, 'usr/bin/tool')).mode & 0o777, 0o755);
    assert.equal(readlinkSync(join(dir, 'bin')), 'usr/bin');
    assert.deepEqual(readFileSync(join(dir, 'etc/odd')), Buffer.alloc(4097, 7));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('the order in which entries are given does not show in the bytes', () => {
  assert.deepEqual(cpio(entries), cpio([...entries].reverse()));
});

test('a path given twice is refused', () => {
  assert.throws(() => cpio([...entries, ...entries.slice(0, 1)]), /usr\/bin\/tool is given twice/);
});
