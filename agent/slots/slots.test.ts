// The slots of a disk over several boots: good, updated, damaged, failed, and cut off in the middle.

import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import { slotsAtBoot } from './at-boot.ts';
import { freshEntry } from './entry-name.ts';
import { loadSlotRecord } from './slot-record.ts';
import { loaderOf, testDisk } from './slots-fixture.ts';
import { slotWork } from './work.ts';

const { signal } = new AbortController();
const [FIRST, COPY] = ['billet-0000000001+3.efi', 'billet-0000000000+3.efi'];

test('a new installation is blessed once good, and copied to fall back to, without a registry', async (t) => {
  const disk = await testDisk(t);
  const image = disk.image('one');
  await disk.install(image);
  const wanted = { generation: 1, image, good: false };
  assert.deepEqual(slotWork(await disk.slots.observe(image), wanted).steps, []);
  await disk.slots.apply({ ...wanted, good: true }, signal);
  assert.deepEqual([await disk.names('a'), await disk.names('b')], [[FIRST], [COPY]]);
  assert.deepEqual(disk.marks, ['slot-good a', 'slot-written b']);
  assert.deepEqual(disk.pulls, []);
  const { record } = await loadSlotRecord(disk.stateDir);
  assert.deepEqual([record.a?.good, record.b?.manifest], [true, image.manifest]);
});

test('a good one that was damaged is counted down by its boots, and written anew from the copy', async (t) => {
  let disk = await testDisk(t);
  const image = disk.image('one');
  await disk.install(image);
  await disk.slots.apply({ generation: 1, image, good: true }, signal);
  await disk.damage('a');
  const taken = [];
  for (let boots = 0; boots < 4; boots += 1) {
    disk = await disk.boot();
    taken.push(disk.running);
  }
  assert.deepEqual(
    taken,
    ['a', 'a', 'a', 'b'],
    'three boots that come to nothing, and one that works',
  );
  const seen = await disk.slots.observe(image);
  assert.deepEqual(seen.corrupt, ['a']);
  await disk.slots.apply({ generation: 1, image, good: true }, signal);
  assert.deepEqual((await disk.slots.observe(image)).corrupt, []);
  assert.deepEqual(disk.pulls, []);
});

test('the tries of a good one are given back as each boot begins; of one on trial they are not', async (t) => {
  let disk = await testDisk(t);
  const image = disk.image('one');
  await disk.install(image);
  const begin = async () => {
    disk = await disk.boot();
    const { devices, mounts, running: slot, stateDir } = disk;
    const volume = { mounts, dir: join(stateDir, 'mnt') };
    const boot = { slot, devices, disk: 'vda', entry: freshEntry(1) };
    return await slotsAtBoot(volume, stateDir, boot);
  };
  const trial = await begin();
  assert.deepEqual([trial.entry, trial.good], ['billet-0000000001+1-2.efi', false]);
  await disk.slots.apply({ generation: 1, image, good: true }, signal);
  const good = await begin();
  assert.deepEqual([good.entry, good.triesLeft, good.good], [FIRST, 3, true]);
});

test('another boot image comes from the registry, verified; one that never comes up is not tried for ever', async (t) => {
  let disk = await testDisk(t);
  const [one, two] = [disk.image('one'), disk.image('two', 2)];
  await disk.install(one);
  await disk.slots.apply({ generation: 1, image: one, good: true }, signal);
  const wanted = { generation: 2, image: two, good: false };
  await disk.slots.apply(wanted, signal);
  assert.deepEqual(await disk.names('b'), ['billet-0000000002+3.efi']);
  const taken = [];
  for (let boots = 0; boots < 4; boots += 1) {
    disk = await disk.boot();
    taken.push(disk.running);
  }
  assert.deepEqual(taken, ['b', 'b', 'b', 'a']);
  assert.ok(slotWork(await disk.slots.observe(two), wanted).failed);
  await assert.rejects(disk.slots.apply(wanted, signal), { code: 'BOOT_SLOT_FAILED' });
  const again = { ...wanted, generation: 3 };
  await disk.slots.apply(again, signal);
  assert.deepEqual(await disk.names('b'), ['billet-0000000003+3.efi']);
});

test('the loader of a boot image is written once that is good; a damaged one at once, from its twin', async (t) => {
  let disk = await testDisk(t);
  const [one, two] = [disk.image('one'), disk.image('two', 2)];
  await disk.install(one);
  await disk.slots.apply({ generation: 1, image: one, good: true }, signal);
  const path = join(disk.devices.a, 'EFI/systemd/systemd-bootx64.efi');
  await writeFile(path, 'torn');
  disk = await disk.boot();
  assert.equal((await disk.slots.observe(one)).loader, 'damaged');
  await disk.slots.apply({ generation: 1, image: one, good: true }, signal);
  assert.equal((await disk.slots.observe(one)).loader, 'intact');
  assert.deepEqual(disk.pulls, []);
  await disk.slots.apply({ generation: 2, image: two, good: false }, signal);
  assert.equal((await disk.slots.observe(two)).loader, 'older');
  disk = await disk.boot();
  await disk.slots.apply({ generation: 2, image: two, good: true }, signal);
  assert.equal((await disk.slots.observe(two)).loader, 'intact');
  assert.ok(loaderOf('two') !== loaderOf('one'));
});

test('a loader that is damaged in both places, and that no image brings, is said, and not passed over', async (t) => {
  const disk = await testDisk(t);
  const image = disk.image('one');
  await disk.install(image);
  await disk.slots.apply({ generation: 1, image, good: true }, signal);
  for (const path of ['EFI/systemd/systemd-bootx64.efi', 'EFI/BOOT/BOOTX64.EFI'])
    await writeFile(join(disk.devices.a, path), 'torn');
  const { slots } = await disk.boot();
  assert.equal((await slots.observe(null)).loader, 'damaged');
  const any = { generation: 1, image: null, good: true };
  await assert.rejects(slots.apply(any, signal), { code: 'BOOT_SLOT_FAILED' });
  await slots.apply({ ...any, image }, signal);
  assert.equal((await slots.observe(image)).loader, 'intact');
});

test('one that nobody signed is not written under a policy that is enforced', async (t) => {
  const disk = await testDisk(t);
  const [one, two] = [disk.image('one'), disk.image('two', 2)];
  await disk.install(one);
  await disk.slots.apply({ generation: 1, image: one, good: true }, signal);
  const strict = await disk.boot('enforce');
  await assert.rejects(strict.slots.apply({ generation: 2, image: two, good: false }, signal), {
    code: 'SIGNATURE_MISSING',
  });
  assert.deepEqual(await strict.names('b'), [COPY]);
  assert.deepEqual(strict.pulls, []);
});

test('cut off at any file operation, a slot that boots is left, and the next attempt ends it', async (t) => {
  for (let cut = 1; cut < 12; cut += 2) {
    let disk = await testDisk(t);
    const [one, two] = [disk.image('one'), disk.image('two', 2)];
    await disk.install(one);
    await disk.slots.apply({ generation: 1, image: one, good: true }, signal);
    const wanted = { generation: 2, image: two, good: false };
    let left = cut;
    const { unmount } = disk.mounts;
    disk.mounts.unmount = (...request) => {
      unmount(...request);
      left -= 1;
      if (left === 0) throw new BilletError('STORE_FAILED', 'cut', { hint: 'none' });
    };
    await disk.slots.apply(wanted, signal).catch((error: unknown) => {
      assert.ok(error instanceof BilletError && error.message === 'cut');
    });
    disk.mounts.unmount = unmount;
    disk = await disk.boot();
    const { corrupt, slots } = await disk.slots.observe(two);
    assert.ok(!corrupt.includes(disk.running), `after cut ${cut}`);
    assert.ok(slots[disk.running].intact);
    await disk.slots.apply(wanted, signal);
    assert.equal((await (await disk.boot()).slots.observe(two)).slots.b.manifest, two.manifest);
    await rm(join(disk.stateDir, 'slots.json'), { force: true });
  }
});
