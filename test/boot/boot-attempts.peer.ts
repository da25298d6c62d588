// What a boot makes of a registry that damages or withholds what it serves: it tries again, then takes
// the last good generation, and rejects nothing for it. Needs root.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { EMPTY_RECORD, loadBootRecord, saveBootRecord } from '../../agent/boot/boot-record.ts';
import {
  desiredOf,
  documentOf,
  type TestMachine,
  testMachine,
} from '../../agent/boot/machine-fixture.ts';
import { ATTEMPTS_MAX } from '../../agent/boot/policy.ts';
import { runBoot } from '../../agent/boot/run-boot.ts';
import { type Workshop, workshop } from '../../agent/store/module-fixture.ts';
import type { ArtifactSource } from '../../shared/artifact/oci/source.ts';
import { digestVerifier } from '../../shared/artifact/oci/verified.ts';
import { BilletError, type Code } from '../../shared/errors.ts';
import type { ModuleRef } from '../../shared/schema/module.ts';

const signal = AbortSignal.timeout(60_000);
const skip = process.getuid?.() === 0 ? false : 'mount(2) needs root';

const baseModule = (shop: Workshop, release: string, sequence = 1): Promise<ModuleRef> =>
  shop.make({
    name: 'base',
    label: { sequence },
    files: {
      ...{ 'dev/': '', 'proc/': '', 'run/': '', 'sys/': '', 'tmp/': '', 'root/': '', 'var/': '' },
      'etc/os-release': `ID=${release}\n`.repeat(50),
      'usr/lib/modules/6.12.1-test/modules.dep': '',
    },
  });

/** A machine that has run generation 4, and is to run 5; the registry is `source`. */
async function setUp(t: TestContext, source: (layout: ArtifactSource) => ArtifactSource) {
  const shop = await workshop(t);
  const machine = await testMachine(t, shop);
  const [old, wanted] = [await baseModule(shop, 'old'), await baseModule(shop, 'new')];
  machine.answer = () => documentOf(desiredOf(4, [old]));
  await runBoot(machine.ports, signal);
  await machine.powerOff();
  machine.lines.length = 0;
  machine.answer = () => documentOf(desiredOf(5, [wanted]), desiredOf(4, [old]));
  const openUplink: TestMachine['ports']['openUplink'] = (enrolled) => ({
    ...machine.ports.openUplink(enrolled),
    sourceFor: () => source(shop.layout),
  });
  const boot = async (ports = { ...machine.ports, openUplink }) => {
    const handover = await runBoot(ports, signal);
    await machine.powerOff();
    return handover;
  };
  const failures = () =>
    machine
      .markers()
      .filter(({ failure }) => failure)
      .map(({ stage, fields }) => `${stage} ${fields.code}`);
  const rejected = async () => (await loadBootRecord(machine.ports.paths.state)).record.rejected;
  return { machine, boot, failures, rejected };
}

/** The first `times` layers and configs that are asked for have a flipped bit. */
function flips(times: number) {
  let left = times;
  return (layout: ArtifactSource): ArtifactSource => ({
    ...layout,
    async *blob(descriptor, options) {
      const flip = left-- > 0;
      const check = digestVerifier(descriptor, layout.name);
      for await (const chunk of layout.blob(descriptor, options)) {
        const bytes = Buffer.from(chunk);
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ Number(flip);
        check.update(bytes);
        yield bytes;
      }
      check.finish();
    },
  });
}

test('a bit that was flipped on the way costs an attempt, and rejects nothing', {
  skip,
}, async (t) => {
  const { boot, failures, rejected } = await setUp(t, flips(2));
  const handover = await boot();
  assert.deepEqual(
    [handover.generation, failures(), await rejected()],
    [5, ['mounted DIGEST_MISMATCH', 'mounted DIGEST_MISMATCH'], []],
  );
  assert.ok(!handover.conditions.some(({ code }) => code === 'WANTED_NOT_BOOTED'));
});

test('where every answer is damaged the machine boots its last good generation, says so, and tries again at the next boot', {
  skip,
}, async (t) => {
  const { machine, boot, failures, rejected } = await setUp(t, flips(Number.POSITIVE_INFINITY));
  const handover = await boot();
  assert.deepEqual([handover.generation, await rejected()], [4, []]);
  assert.deepEqual(failures(), Array(ATTEMPTS_MAX).fill('mounted DIGEST_MISMATCH'));
  const condition = handover.conditions.find(({ code }) => code === 'WANTED_NOT_BOOTED');
  assert.match(
    condition?.text ?? '',
    /^generation 5 failed 4 times in this boot: DIGEST_MISMATCH: /,
  );
  assert.match(condition?.hint ?? '', /not rejected/);
  // The registry was mended; nobody touches node or generation.
  assert.equal((await boot(machine.ports)).generation, 5);
});

test('a registry that has not what is wanted, refuses it or is away keeps no machine from its good one', {
  skip,
}, async (t) => {
  for (const code of ['NOT_FOUND', 'REGISTRY_DENIED', 'REGISTRY_FAILED'] satisfies Code[])
    await t.test(code, async (each) => {
      const { boot, failures, rejected } = await setUp(each, (layout) => ({
        ...layout,
        manifest: async () => {
          throw new BilletError(code, 'not today', { hint: 'wait' });
        },
      }));
      assert.deepEqual([(await boot()).generation, await rejected()], [4, []]);
      assert.deepEqual(failures(), Array(ATTEMPTS_MAX).fill(`mounted ${code}`));
    });
});

test('a captured coordinator takes no node below its floor, whatever it wants or calls good', {
  skip,
}, async (t) => {
  const shop = await workshop(t);
  const machine = await testMachine(t, shop);
  const { state } = machine.ports.paths;
  const [old, older] = [await baseModule(shop, 'old', 6), await baseModule(shop, 'older', 5)];
  const now = await baseModule(shop, 'now', 7);
  await saveBootRecord(state, { ...EMPTY_RECORD, history: 'h', floors: { base: 7 } });
  const answers = [
    documentOf(desiredOf(9, [old])),
    documentOf(desiredOf(9, [old]), desiredOf(8, [older])),
    documentOf(desiredOf(9, [old]), desiredOf(8, [older])),
    // Numbers of a history that it makes up are new; the floors are not.
    documentOf(desiredOf(1, [older], 'another')),
  ];
  machine.answer = () => answers.shift() ?? documentOf(desiredOf(2, [now], 'another'));
  const handover = await runBoot(machine.ports, signal);
  await machine.powerOff();
  assert.equal(handover.generation, 2);
  const refused = machine.markers().filter(({ failure }) => failure);
  assert.deepEqual(
    refused.map(({ fields }) => [fields.code, /sequence (\d)/.exec(fields.message ?? '')?.[1]]),
    [
      ['VERSION_REFUSED', '6'],
      ['VERSION_REFUSED', '6'],
      ['VERSION_REFUSED', '5'],
      ['VERSION_REFUSED', '5'],
    ],
  );
  assert.deepEqual((await loadBootRecord(state)).record.floors, { base: 7 });
});
