// Boots of machines with disks of their own: installed, restarted, gone on with; and what is chosen where
// the boot image in a slot is another one than wanted. Needs root.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Digest, sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { Desired } from '#shared/schema/desired.ts';
import { readHandover } from '../handover.ts';
import type { InstalledDisk, InstallOutcome } from '../install/ports.ts';
import type { SlotsAtBoot } from '../slots/at-boot.ts';
import { freshEntry } from '../slots/entry-name.ts';
import { workshop } from '../store/module-fixture.ts';
import { loadBootRecord } from './boot-record.ts';
import { persistOn } from './data-disk.ts';
import { BOOT_ID, desiredOf, documentOf, testMachine } from './machine-fixture.ts';
import type { BootPorts } from './ports.ts';
import { runBoot } from './run-boot.ts';

const signal = new AbortController().signal;
const skip = process.getuid?.() === 0 ? false : 'mount(2) needs root';
const [X, Y] = [sha256('x'), sha256('y')];
const FILES = {
  ...{ 'dev/': '', 'proc/': '', 'run/': '', 'sys/': '', 'tmp/': '', 'root/': '', 'var/': '' },
  'etc/hostname': 'from-the-image\n',
  'usr/lib/modules/6.12.1-test/modules.dep': '',
};
const { 'usr/lib/modules/6.12.1-test/modules.dep': _, ...REST } = FILES;
const OF_ANOTHER_KERNEL = { ...REST, 'usr/lib/modules/6.11.0-test/modules.dep': '' };
const ON: InstalledDisk = {
  disk: { name: 'test', sizeBytes: 1 },
  ...{ esp: '/dev/test1', boot: '/dev/test2', persist: '/dev/test' },
};

async function setUp(context: TestContext) {
  const shop = await workshop(context);
  const machine = await testMachine(context, shop);
  const base = await shop.make({ name: 'base', files: FILES });
  const desired = (generation: number, changes: object = {}) =>
    Desired.parse({ ...desiredOf(generation, [base]), ...changes });
  const boot = (ports: Partial<BootPorts>) => runBoot({ ...machine.ports, ...ports }, signal);
  return { machine, shop, desired, boot };
}

const INSTALL = {
  install: {
    event: 'ie-0123456789abcdef',
    plan: { profile: 'single-disk', disk: { serial: 's' } },
  },
};
const image = (manifest: string) => ({
  bootImage: {
    ...{ repository: 'metal', manifest, kernel: X, initramfs: X, uki: X, loader: X },
    kernelRelease: '6.12.1-test',
  },
});

class Restarted extends Error {}
const restart = () => Promise.reject(new Restarted());

test('a refusal waits, and the desired state is asked for again; then it is installed, and restarts', {
  skip,
}, async (t) => {
  const { machine, desired, boot } = await setUp(t);
  const generations: number[] = [];
  let asked = 0;
  machine.answer = () => {
    asked += 1;
    return documentOf(desired(asked, INSTALL));
  };
  const problem = new BilletError('INSTALL_DISK_NONE', 'no disk', { hint: 'look' });
  const install = async ({ desired: wanted }: { readonly desired: Desired }) => {
    generations.push(wanted.generation);
    const outcome: InstallOutcome =
      wanted.generation < 3 ? { kind: 'refused', problem } : { kind: 'installed', on: ON };
    return outcome;
  };
  await assert.rejects(boot({ install, restart }), Restarted);
  assert.deepEqual(generations, [1, 2, 3]);
  const retries = machine.markers().filter(({ stage }) => stage === 'retry');
  assert.deepEqual(
    retries.map(({ fields }) => fields.stage),
    ['install-plan', 'install-plan'],
  );
});

test('what is installed already is gone on with in place, where its data are before this boot', {
  skip,
}, async (t) => {
  const { machine, desired, boot } = await setUp(t);
  machine.answer = () => documentOf(desired(1, INSTALL));
  const install = async (): Promise<InstallOutcome> => ({ kind: 'present', on: ON });
  const { generation, data } = await boot({ install });
  assert.deepEqual([generation, data], [1, 'persist']);
});

test('elsewhere the firmware is asked for the disk, once, and the boot goes on where that changes nothing', {
  skip,
}, async (t) => {
  const { machine, desired, boot } = await setUp(t);
  machine.answer = () => documentOf(desired(1, INSTALL));
  const install = async (): Promise<InstallOutcome> => ({
    kind: 'present',
    on: { ...ON, persist: '/dev/other' },
  });
  const reasons: string[] = [];
  const startDiskNext = async (_on: InstalledDisk, reason: string) => reasons.push(reason) === 1;
  await assert.rejects(boot({ install, startDiskNext, restart }), Restarted);
  await machine.powerOff();
  assert.equal((await boot({ install, startDiskNext, restart })).generation, 1);
  assert.deepEqual(reasons, ['ie-0123456789abcdef 1', 'ie-0123456789abcdef 1']);
});

const fromSlot = (slots: Partial<SlotsAtBoot>): Partial<BootPorts> => ({
  bootSlot: async () => ({
    ...{ slot: 'a', disk: 'test', entry: freshEntry(1) },
    devices: { a: '/dev/test1', b: '/dev/test2' },
  }),
  slotsAtBoot: async () => ({
    ...{ slot: 'a', entry: 'billet-0000000001+3.efi', triesLeft: 3, manifest: X, good: true },
    ...{ failed: () => false, damage: [], ...slots },
  }),
  async install({ fromDisk }) {
    assert.ok(fromDisk, 'nothing is to be installed');
    return { kind: 'none' };
  },
});

test('a boot from a slot installs nothing, and hands over which slot it was', {
  skip,
}, async (t) => {
  const { machine, desired, boot } = await setUp(t);
  machine.answer = () => documentOf(desired(1, { ...INSTALL, ...image(X) }));
  await boot(fromSlot({}));
  const handed = await readHandover(machine.ports.paths, BOOT_ID);
  assert.equal(handed?.handover.slot?.manifest, X);
  assert.ok(machine.lines.some((line) => line.includes('boot-slot slot=a')));
});

test('a boot image that is not here yet: the good generation boots, and rejects nothing', {
  skip,
}, async (t) => {
  const { machine, desired, boot } = await setUp(t);
  machine.answer = () => documentOf(desired(2, image(Y)), desired(1, image(X)));
  assert.equal((await boot(fromSlot({}))).generation, 1);
  assert.deepEqual((await loadBootRecord(machine.ports.paths.state)).record.rejected, []);
});

test('a boot image that did not come up: its generation is rejected, with that as the reason', {
  skip,
}, async (t) => {
  const { machine, desired, boot } = await setUp(t);
  machine.answer = () => documentOf(desired(2, image(Y)), desired(1, image(X)));
  const failed = (generation: number, manifest: string) => generation === 2 && manifest === Y;
  assert.equal((await boot(fromSlot({ failed }))).generation, 1);
  const { rejected } = (await loadBootRecord(machine.ports.paths.state)).record;
  assert.equal(rejected[0]?.generation, 2);
  assert.match(rejected[0]?.reason ?? '', new RegExp(`boot image ${Y} did not come up`));
  assert.ok(machine.lines.some((line) => line.includes('code=BOOT_SLOT_FAILED')));
});

test('a good generation of another kernel is started from the other slot, which the loader takes by then', {
  skip,
}, async (t) => {
  const { machine, shop, desired } = await setUp(t);
  const older = await shop.make({ name: 'base', files: OF_ANOTHER_KERNEL });
  const good = { ...desired(1, image(X)), modules: [older] };
  machine.answer = () => {
    const { reply, etag } = documentOf(desired(2, image(Y)), good);
    return { etag, reply: { ...reply, rejected: [2] } };
  };
  const off = new AbortController();
  const wanted: (string | undefined)[] = [];
  const slot = (manifest: Digest, generation: number, triesLeft: number) => ({
    ...{ entry: { ...freshEntry(generation), triesLeft }, manifest },
    ...{ intact: true, good: true, litter: [] },
  });
  const ports: Partial<BootPorts> = {
    ...fromSlot({ slot: 'b', manifest: Y, good: false }),
    openSlots: () => ({
      observe: async () => ({
        running: 'b',
        slots: { a: slot(X, 1, 3), b: { ...slot(Y, 2, 0), good: false } },
        ...{ corrupt: [], release: null, loader: 'intact' },
      }),
      apply: async ({ image: wish }) => void wanted.push(wish?.manifest),
    }),
    restart: async () => off.abort(new Restarted()),
  };
  await assert.rejects(runBoot({ ...machine.ports, ...ports }, off.signal), Restarted);
  assert.deepEqual(wanted, [X]);
  assert.ok(machine.lines.some((line) => line.includes('code=KERNEL_MISMATCH')));
});

test('the data disk is the one beside the slots, locked or not, whatever another disk is called', () => {
  const partition = (disk: string, name: string, number: number) => ({
    ...{ device: `/dev/${disk}${number}`, disk, name, uuid: null },
  });
  const partitions = [
    partition('vda', 'billet-persist', 1),
    partition('vdb', 'billet-esp', 1),
    partition('vdb', 'billet-persist-luks', 3),
  ];
  assert.deepEqual(persistOn('vdb', partitions), { device: '/dev/vdb3', encrypted: true });
  assert.deepEqual(persistOn('vda', partitions), { device: '/dev/vda1', encrypted: false });
  assert.equal(persistOn('vdc', partitions), null);
});
