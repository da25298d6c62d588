// The stages of a boot over a real store and real mounts, up to switch_root. Needs root.

import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import { readHandover } from '../handover.ts';
import { type Workshop, workshop } from '../store/module-fixture.ts';
import { loadBootRecord } from './boot-record.ts';
import {
  BOOT_ID,
  desiredOf,
  documentOf,
  type TestMachine,
  testMachine,
} from './machine-fixture.ts';
import { runBoot } from './run-boot.ts';

const signal = new AbortController().signal;
const skip = process.getuid?.() === 0 ? false : 'mount(2) needs root';

const baseModule = (shop: Workshop, name = 'base', files = {}): Promise<ModuleRef> =>
  shop.make({
    name,
    files: {
      ...{ 'dev/': '', 'proc/': '', 'run/': '', 'sys/': '', 'tmp/': '', 'root/': '' },
      'etc/os-release': 'ID=test\n',
      'etc/hostname': 'from-the-image\n',
      'usr/lib/modules/6.12.1-test/modules.dep': '',
      'var/lib/app/seed': 'shipped\n',
      ...files,
    },
    label: { persistent: ['/var/lib/app'] },
  });

async function setUp(context: TestContext) {
  const shop = await workshop(context);
  return { shop, machine: await testMachine(context, shop) };
}

const stages = ({ markers }: TestMachine) =>
  markers()
    .filter(({ failure }) => !failure)
    .map(({ stage }) => stage);

const failures = ({ markers }: TestMachine) =>
  markers()
    .filter(({ failure }) => failure)
    .map(({ stage, fields }) => `${stage} ${fields.code}`);

test('a boot passes its stages, and leaves a root with settings, data and a hand-over', {
  skip,
}, async (t) => {
  const { shop, machine } = await setUp(t);
  const { ports } = machine;
  const desired = desiredOf(3, [await baseModule(shop)]);
  machine.answer = () => documentOf(desired);
  const handover = await runBoot(ports, signal);

  const order = ['enrolled', 'desired', 'pulled', 'verified', 'composed', 'sealed', 'mounted'];
  assert.deepEqual(
    stages(machine).filter((stage) => [...order, 'switch-root'].includes(stage)),
    [...order, 'switch-root'],
  );
  const at = (path: string) => join(ports.sysroot, path);
  assert.equal(await readFile(at('etc/hostname'), 'utf8'), 'renamed\n');
  assert.equal(await readFile(at('etc/os-release'), 'utf8'), 'ID=test\n');
  assert.equal((await stat(at('root'))).mode & 0o777, 0o755);
  await writeFile(at('etc/new'), '');
  await assert.rejects(writeFile(at('usr/new'), ''), { code: 'EROFS' });
  // What the image ships starts the persistent directory; what is written there is data.
  assert.equal(await readFile(at('var/lib/app/seed'), 'utf8'), 'shipped\n');
  await writeFile(at('var/lib/app/mine'), 'mine\n');
  const bind = (await ports.mounts.table()).find(({ target }) => target === at('var/lib/app'));
  assert.ok(bind?.options.includes('nosuid') && bind.options.includes('nodev'));

  const read = await readHandover(ports.paths, BOOT_ID);
  assert.deepEqual(read?.handover, handover);
  assert.equal((await stat(ports.paths.handover)).mode & 0o777, 0o600);
  assert.deepEqual([handover.generation, handover.offline], [3, false]);
  assert.ok(handover.conditions.some(({ code }) => code === 'BOOT_UNVERIFIED'));
  assert.equal(await readHandover(ports.paths, crypto.randomUUID()), null);
  const { record } = await loadBootRecord(ports.paths.state);
  assert.deepEqual(record.trial, { generation: 3, boots: 1 });
  await machine.powerOff();

  // The next boot finds no coordinator, and does with what is on the disk.
  machine.answer = () => {
    throw new BilletError('LINK_DOWN', 'gone', { hint: 'none' });
  };
  machine.lines.length = 0;
  const again = await runBoot(ports, signal);
  assert.deepEqual([again.offline, again.systemImage], [true, handover.systemImage]);
  assert.equal(await readFile(at('var/lib/app/mine'), 'utf8'), 'mine\n');
  // What was written to /etc is gone, and what the settings say is there.
  await assert.rejects(stat(at('etc/new')), { code: 'ENOENT' });
  assert.equal(await readFile(at('etc/hostname'), 'utf8'), 'renamed\n');
  assert.ok(!stages(machine).includes('pull-progress'));
  await machine.powerOff();
});

test('a generation that cannot run gives way to the good one, and is recorded as rejected', {
  skip,
}, async (t) => {
  const { shop, machine } = await setUp(t);
  const base = await baseModule(shop);
  const conflict = await baseModule(shop, 'other', { 'etc/os-release': 'ID=else\n' });
  machine.answer = () => documentOf(desiredOf(5, [base, conflict]), desiredOf(4, [base]));
  const handover = await runBoot(machine.ports, signal);
  assert.equal(handover.generation, 4);
  assert.deepEqual(failures(machine), ['mounted MERGE_CONFLICT']);
  const { rejected } = (await loadBootRecord(machine.ports.paths.state)).record;
  assert.deepEqual(
    rejected.map(({ generation }) => generation),
    [5],
  );
  await machine.powerOff();
});

test('what stands in the way is shown and tried again until it is gone', { skip }, async (t) => {
  const { shop, machine } = await setUp(t);
  const desired = desiredOf(1, [await baseModule(shop)]);
  const incomplete = await shop.make({ name: 'base', files: { 'etc/os-release': 'ID=test\n' } });
  const answers = [
    () => {
      throw new BilletError('LINK_DOWN', 'not yet', { hint: 'none' });
    },
    () => documentOf(desiredOf(1, [])),
    () => documentOf(desiredOf(1, [incomplete])),
  ];
  machine.answer = () => (answers.shift() ?? (() => documentOf(desired)))();
  const handover = await runBoot(machine.ports, signal);
  assert.equal(handover.generation, 1);
  assert.deepEqual(failures(machine), [
    'desired LINK_DOWN',
    'mounted MODULE_INVALID',
    'mounted KERNEL_MISMATCH',
  ]);
  const table = await machine.ports.mounts.table();
  // Nothing of the attempts before is left below it.
  assert.equal(table.filter(({ target }) => target === machine.ports.sysroot).length, 1);
  await machine.powerOff();
});
