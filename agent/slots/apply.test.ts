import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import type { SlotVolume } from '../drivers/slot-volume.ts';
import { runStep, type StepDeps } from './apply.ts';

const MIB = 2 ** 20;

test('a copy that has no room beside what it replaces takes its place; with room it comes first', async () => {
  for (const [freeBytes, expected] of [
    [50 * MIB, ['remove', 'write']],
    [200 * MIB, ['write', 'remove']],
  ] as const) {
    const calls: string[] = [];
    const volume = (name: string) => ({
      names: async () => [name],
      freeBytes: async () => freeBytes,
      sizeBytes: async () => 100 * MIB,
      read: () => [],
      write: async () => void calls.push('write'),
      remove: async () => void calls.push('remove'),
    });
    const slots = { a: volume('billet-0000000001+3.efi'), b: volume('billet-0000000002+0-3.efi') };
    const deps: Pick<StepDeps, 'on' | 'remember' | 'mark' | 'digestOf'> = {
      on: async (slot, work) => await work(slots[slot] as unknown as SlotVolume),
      digestOf: () => sha256('x'),
      remember: async () => undefined,
      mark: () => undefined,
    };
    await runStep({ kind: 'copy', slot: 'b', generation: 0 }, deps as StepDeps);
    assert.deepEqual([...new Set(calls)], expected);
  }
});
