// Modules that are whole and signed, and do not go together or are too old: through a boot's pull and
// compose, and through the steps of a running agent. From a registry, into a real store.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDirectory } from '#shared/artifact/signature/testing.ts';
import { systemClock } from '#shared/clock.ts';
import type { Code } from '#shared/errors.ts';
import { Desired } from '#shared/schema/desired.ts';
import { bootLog } from '../../agent/boot/boot-log.ts';
import { EMPTY_RECORD } from '../../agent/boot/boot-record.ts';
import type { BootPorts } from '../../agent/boot/ports.ts';
import { mountSystem } from '../../agent/boot/system.ts';
import { hostMounts } from '../../agent/drivers/mounts.ts';
import { type ApplyDeps, apply } from '../../agent/reconcile/apply.ts';
import { openState } from '../../agent/reconcile/state.ts';
import type { Step } from '../../agent/reconcile/steps.ts';
import { storeModules } from '../../agent/reconcile/store-modules.ts';
import type { Store } from '../../agent/store/store.ts';
import { needsRoot as skip, smallTmpfs } from './pull-faults-disk.ts';
import {
  type CraftedLayer,
  craft,
  noise,
  openShop,
  pullNode,
  refused,
} from './pull-faults-module.ts';
import { faultyRegistry, hastySource } from './pull-faults-registry.ts';

const MiB = 1024 * 1024;
const signal = new AbortController().signal;

async function setUp(t: TestContext, within?: string) {
  const shop = await openShop(t);
  const node = await pullNode(t, shop, within);
  const { origin } = await faultyRegistry(t, shop.layout);
  const sysroot = await temporaryDirectory(t);
  const source = () => hastySource(origin);
  const lines: string[] = [];
  const path = join(await temporaryDirectory(t), 'markers');
  const log = bootLog({ say: (line) => lines.push(line), uptimeSeconds: () => 1, path });
  const module = async (
    name: string,
    label: Record<string, unknown> = {},
    files: CraftedLayer['files'] = [{ name: `usr/${name}`, body: noise(5000, name) }],
  ) => (await craft(shop, { name, label, layers: [{ files: [KERNEL, ...files] }] })).ref;
  /** What the initramfs does with these modules. */
  const boot = async (
    refs: Desired['modules'],
    with_: { store?: Store; floor?: number; good?: Desired } = {},
  ) => {
    const { store = node.store, floor = 0, good = null } = with_;
    const mounted = await mountSystem(
      { log, sysroot, clock: systemClock } as BootPorts,
      {
        ...{ desired: desiredOf(refs), good, policy: shop.policy, store, kernelRelease: '6.12' },
        record: { ...EMPTY_RECORD, floors: { app: floor } },
        uplink: {
          ...{ sourceFor: source, fetchDesired: never, reportInstall: never },
          close: async () => undefined,
        },
      },
      signal,
    );
    mounted.mounted.unmount();
    return mounted;
  };
  /** What a running agent does with these steps; null when all were done. */
  const run = async (steps: readonly Step[], floor = 0) => {
    const modules = storeModules({
      ...{ store: node.store, policy: shop.policy, sourceOf: source },
      ...{ booted: new Set<never>(), floors: () => ({ app: floor }), exempt: () => new Set() },
    });
    const dir = await temporaryDirectory(t);
    const state = await openState({ stateDir: dir, runDir: dir });
    const deps = { ports: { modules }, state, onDone: () => undefined } as unknown as ApplyDeps;
    const failed = await apply(steps, deps, signal);
    return { failed, staged: state.run.staged, modules };
  };
  const refusedBoth = async (refs: Desired['modules'], code: Code, message: RegExp) => {
    await refused(boot(refs), code, message);
    assert.equal(
      (await hostMounts().table()).some(({ target }) => target === sysroot),
      false,
    );
    await node.store.collect({ modules: [], images: [] });
    const { failed, staged } = await run(stepsOf(refs));
    assert.match(failed?.error.message ?? '', message);
    assert.deepEqual([failed?.error.code, staged], [code, null]);
    assert.ok((failed?.error.hint.length ?? 0) > 10);
    return failed;
  };
  return { shop, node, lines, module, boot, run, refusedBoth };
}

const KERNEL = { name: 'usr/lib/modules/6.12/', type: '5', mode: 0o755 };
const never = async () => assert.fail('nobody may ask for this');

const desiredOf = (modules: Desired['modules']): Desired =>
  Desired.parse({
    ...{ format: 1, history: 'h', instance: 'i-0123456789abcdef', node: 'web-1', generation: 1 },
    ...{ bootImage: null, systemImage: null, settings: {}, modules },
  });

/** As the plan has them for a generation of system modules. */
const stepsOf = (modules: Desired['modules']): Step[] => [
  ...modules.map((module): Step => ({ kind: 'pull-module', module })),
  {
    ...{ kind: 'check-modules', node: desiredOf([]).node, modules },
    present: modules.map(({ name }) => name),
  },
  {
    ...{ kind: 'stage-system', generation: 1, modules, bootImage: null },
    ...{ kernelRelease: '6.12', expected: null },
  },
];

test('an older release than the node has run is VERSION_REFUSED, before a layer is asked for', {
  skip,
}, async (t) => {
  const { node, module, boot, run } = await setUp(t);
  const [old, now] = [await module('app', { sequence: 4 }), await module('app', { sequence: 5 })];
  await refused(boot([old], { floor: 5 }), 'VERSION_REFUSED', /sequence 4, at least 5/);
  const { failed } = await run(stepsOf([old]), 5);
  assert.deepEqual([failed?.step.kind, failed?.error.code], ['pull-module', 'VERSION_REFUSED']);
  assert.match(failed?.error.hint ?? '', /last good generation/);
  assert.deepEqual(await node.leftovers(), []);
  // The last good generation is exempt, so that going back stays possible.
  await boot([old], { floor: 5, good: desiredOf([old]) });
  await boot([now], { floor: 5 });
  // Mutation: a floor that nobody kept.
  await boot([old], { floor: 0 });
});

test('a module that requires what is missing is MODULE_INVALID, with both names', {
  skip,
}, async (t) => {
  const { module, refusedBoth, boot } = await setUp(t);
  const app = await module('app', { requires: ['data'] });
  const failed = await refusedBoth([app], 'MODULE_INVALID', /app requires data, which is not part/);
  assert.equal(failed?.error.hint, 'add data to the modules of web-1');
  assert.equal(failed?.step.kind, 'check-modules');
  await boot([app, await module('data')]);
});

test('modules that require each other in a circle are MODULE_INVALID, with the circle', {
  skip,
}, async (t) => {
  const { module, refusedBoth } = await setUp(t);
  const ring = [
    await module('one', { requires: ['two'] }),
    await module('two', { requires: ['three'] }),
    await module('three', { requires: ['one'] }),
  ];
  const failed = await refusedBoth(ring, 'MODULE_INVALID', /: one -> two -> three -> one$/);
  assert.match(failed?.error.hint ?? '', /"requires"/);
  const self = await module('self', { requires: ['self'] });
  await refusedBoth([self], 'MODULE_INVALID', /: self -> self$/);
});

test('two modules that ship one path differently are MERGE_CONFLICT, unless one may replace it', {
  skip,
}, async (t) => {
  const { module, refusedBoth, boot } = await setUp(t);
  const file = (body: string) => [{ name: 'etc/passwd', body }];
  const base = await module('base', {}, file('root:x:0:0\n'));
  const add = await module('add', { priority: 200 }, file('mallory:x:0:0\n'));
  const failed = await refusedBoth([base, add], 'MERGE_CONFLICT', /\/etc\/passwd .* base and add/);
  assert.match(failed?.error.hint ?? '', /ship \/etc\/passwd in one of them/);
  assert.equal(failed?.step.kind, 'stage-system');
  const replaces = { priority: 200, replaces: ['/etc/passwd'] };
  await boot([base, await module('add', replaces, file('mallory:x:0:0\n'))]);
});

test('a boot clears a disk that older generations fill, once, and keeps the good one', {
  skip,
}, async (t) => {
  const disk = await smallTmpfs(t, 14 * MiB);
  const { node, module, boot, lines } = await setUp(t, disk.dir);
  const large = (name: string) => [{ name: `usr/${name}`, body: noise(5 * MiB, name) }];
  const [rejected, good] = [
    await module('app', {}, large('a')),
    await module('app', {}, large('b')),
  ];
  const next = await module('app', {}, large('c'));
  await boot([rejected]);
  await boot([good]);
  // Mutation: a store that keeps everything.
  const collect = async () => ({ modules: 0, images: 0, objects: 0, bytes: 0 });
  const hoarder = { ...node.store, collect };
  const request = { good: desiredOf([good]) };
  await refused(boot([next], { ...request, store: hoarder }), 'STORE_FULL');
  await boot([next], request);
  assert.ok(lines.some((line) => line.includes('BILLET_FAILURE pulled code=STORE_FULL')));
  const kept = [good.manifest, next.manifest].sort();
  assert.deepEqual([...(await node.store.modules())].sort(), kept);
});
