import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPartOf } from './steps.ts';

test('a partition belongs to the disk whose name it has, and to none whose name begins like it', () => {
  for (const [source, disk] of [
    ['/dev/sda', '/dev/sda'],
    ['/dev/sda12', '/dev/sda'],
    ['/dev/nvme0n1p2', '/dev/nvme0n1'],
    ['/dev/loop0p1', '/dev/loop0'],
  ] as const)
    assert.ok(isPartOf(source, disk), source);
  for (const [source, disk] of [
    ['/dev/sdaa1', '/dev/sda'],
    ['/dev/nvme0n12', '/dev/nvme0n1'],
    ['/dev/nvme0n10p1', '/dev/nvme0n1'],
    ['/dev/loop01', '/dev/loop0'],
  ] as const)
    assert.ok(!isPartOf(source, disk), source);
});
