// Boots of one machine with a disk, over a real store and real mounts, up to switch_root: a generation
// that never comes up is left after its trial, wherever power is cut on the way, and what a module
// keeps below /var is seeded once and never touched again. Needs root.

import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadBootRecord, saveBootRecord } from '../../agent/boot/boot-record.ts';
import {
  desiredOf,
  documentOf,
  type TestMachine,
  testMachine,
} from '../../agent/boot/machine-fixture.ts';
import { TRIAL_BOOTS_MAX } from '../../agent/boot/policy.ts';
import { runBoot } from '../../agent/boot/run-boot.ts';
import { type Workshop, workshop } from '../../agent/store/module-fixture.ts';
import type { Store } from '../../agent/store/store.ts';
import { watchDisk } from './agent-disk.ts';

const skip = process.getuid?.() === 0 ? false : 'mount(2) needs root';
const never = new AbortController().signal;

const baseModule = (shop: Workshop, text: string) =>
  shop.make({
    name: 'base',
    files: {
      ...{
        'dev/': '',
        'proc/': '',
        'run/': '',
        'sys/': '',
        'tmp/': '',
        'root/': '',
        'etc/os-release': text,
      },
      'usr/lib/modules/6.12.1-test/modules.dep': '',
      'var/lib/app/seed': 'shipped\n',
    },
    label: { persistent: ['/var/lib', '/var/lib/app'] },
  });

/** The wanted generation 5 with a good 4 behind it. */
async function setUp(context: TestContext): Promise<TestMachine> {
  const shop = await workshop(context);
  const machine = await testMachine(context, shop);
  const [old, wanted] = [await baseModule(shop, 'old'), await baseModule(shop, 'new')];
  machine.answer = () => documentOf(desiredOf(5, [wanted]), desiredOf(4, [old]));
  return machine;
}

/** A boot that stops for ever once `cut` resolves. Its threads are ended, as its machine is off. */
async function bootUntil(machine: TestMachine, cut: Promise<void>): Promise<void> {
  const stores: Store[] = [];
  const openStore = async (dir: string) => {
    const store = await machine.ports.openStore(dir);
    stores.push(store);
    return store;
  };
  await Promise.race([runBoot({ ...machine.ports, openStore }, never), cut]);
  await machine.powerOff();
  for (const store of stores) await store.close();
}

async function boot(machine: TestMachine): Promise<number> {
  const { generation } = await runBoot(machine.ports, never);
  await machine.powerOff();
  return generation;
}

async function bootTimes(machine: TestMachine, count: number, between?: () => Promise<void>) {
  const booted: number[] = [];
  for (let nth = 0; nth < count; nth += 1) {
    booted.push(await boot(machine));
    await between?.();
  }
  return booted;
}

test('a generation that boots and never turns good is left after its trial, for good', {
  skip,
}, async (t) => {
  const machine = await setUp(t);
  assert.deepEqual(await bootTimes(machine, TRIAL_BOOTS_MAX + 2), [5, 5, 4, 4]);
  const { record } = await loadBootRecord(machine.ports.paths.state);
  assert.deepEqual(
    record.rejected.map(({ generation }) => generation),
    [5],
  );
});

test('nobody counts the boots: it is booted again and again', { skip }, async (t) => {
  const machine = await setUp(t);
  const { state } = machine.ports.paths;
  const forget = async () => {
    const { record } = await loadBootRecord(state);
    await saveBootRecord(state, { ...record, trial: null });
  };
  assert.deepEqual(await bootTimes(machine, TRIAL_BOOTS_MAX + 2, forget), [5, 5, 5, 5]);
});

test('power is cut at each change of the state on disk: the machine boots, and counts what came up', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const machine = await setUp(t);
  const { paths } = machine.ports;
  for (let nth = 0, dies = true; dies; nth += 1) {
    for (const path of [paths.state, paths.var]) await emptied(path);
    dies = false;
    let passed = 0;
    const cut = Promise.withResolvers<void>();
    const unwatch = watchDisk(join(paths.run, 'data'), async (change, act) => {
      const own = !change.path.startsWith(paths.store);
      if (own && passed++ >= nth) {
        dies = true;
        cut.resolve();
        await new Promise(() => undefined);
      }
      return await act();
    });
    await bootUntil(machine, cut.promise);
    await unwatch();
    const { record } = await loadBootRecord(paths.state);
    const counted = record.trial?.boots ?? 0;
    // Before the first boot came up nothing is counted; afterwards always.
    assert.ok(dies ? counted <= 1 : counted === 1, `cut at ${nth}: ${counted}`);
    const more = await bootTimes(machine, TRIAL_BOOTS_MAX + 1 - counted);
    assert.equal(more.at(-1), 4, `cut at ${nth}`);
    assert.equal(more[0], 5, `cut at ${nth}`);
  }
});

test('what is kept below /var is seeded once, whole or not at all, and is data from then on', {
  skip,
}, async (t) => {
  const machine = await setUp(t);
  const { paths, sysroot } = machine.ports;
  const mine = join(sysroot, 'var/lib/app/seed');
  // Power is cut before the copy has its name: the next boot begins it again.
  const cut = Promise.withResolvers<void>();
  const unwatch = watchDisk(paths.var, async (change, act) => {
    if (change.call !== 'rename') return await act();
    cut.resolve();
    return await new Promise(() => undefined);
  });
  await bootUntil(machine, cut.promise);
  await unwatch();
  await runBoot(machine.ports, never);
  assert.equal(await readFile(mine, 'utf8'), 'shipped\n');
  await writeFile(mine, 'changed\n');
  await machine.powerOff();
  // Also where nothing else of the state is left.
  await emptied(paths.state);
  await runBoot(machine.ports, never);
  assert.equal(await readFile(mine, 'utf8'), 'changed\n');
  await machine.powerOff();
});

async function emptied(path: string): Promise<void> {
  await rm(path, { recursive: true });
  await mkdir(path);
}
