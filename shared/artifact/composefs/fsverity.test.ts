import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fsverityHasher, fsverityHex } from './fsverity.ts';

/** Bytes that differ everywhere, the same in every run. */
function noise(bytes: number): Buffer {
  const blocks: Buffer[] = [];
  for (let index = 0; index * 32 < bytes; index += 1)
    blocks.push(createHash('sha256').update(`${index}`).digest());
  return Buffer.concat(blocks).subarray(0, bytes);
}

test('digests equal those of fsverity-utils at every border of the hash tree', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fsverity-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const level = 128 * 4096;
  const sizes = [
    0,
    1,
    64,
    4095,
    4096,
    4097,
    8192,
    level - 1,
    level,
    level + 1,
    2 * level,
    5 * level,
  ];
  const all = noise(5 * level);
  const paths = sizes.map((size) => {
    const path = join(folder, `${size}`);
    writeFileSync(path, all.subarray(0, size));
    return path;
  });
  const lines = execFileSync('fsverity', ['digest', '--compact', ...paths], { encoding: 'utf8' });
  for (const [index, expected] of lines.trim().split('\n').entries())
    assert.equal(fsverityHex(all.subarray(0, sizes[index])), expected, `${sizes[index]} bytes`);
});

test('a third level of the hash tree, and chunks that fit no block, give the same digest', () => {
  const content = Buffer.alloc(128 * 128 * 4096 + 4096, 'x');
  const hasher = fsverityHasher();
  for (let offset = 0; offset < content.length; offset += 999_983)
    hasher.update(content.subarray(offset, offset + 999_983));
  const folder = mkdtempSync(join(tmpdir(), 'fsverity-'));
  const path = join(folder, 'large');
  try {
    writeFileSync(path, content);
    const digest = execFileSync('fsverity', ['digest', '--compact', path], { encoding: 'utf8' });
    assert.equal(hasher.digest().toString('hex'), digest.trim());
  } finally {
    rmSync(folder, { recursive: true });
  }
});
