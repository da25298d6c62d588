// A machine for tests of the boot: real store, mounts and files in a folder of the host; network,
// firmware and coordinator are played. Imported by tests only.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { type MarkerRecord, parseMarker } from '#shared/markers.ts';
import { Desired, type Envelope } from '#shared/schema/desired.ts';
import { Facts } from '#shared/schema/facts.ts';
import { Identity } from '#shared/schema/identity.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import { hostExec } from '../drivers/exec.ts';
import { hostMounts } from '../drivers/mounts.ts';
import { runPaths } from '../handover.ts';
import type { Enrolled } from '../identity/ensure-enrolled.ts';
import type { DesiredDocument } from '../link/desired.ts';
import type { Workshop } from '../store/module-fixture.ts';
import { openStore } from '../store/open-store.ts';
import { bootLog } from './boot-log.ts';
import type { BootPorts } from './ports.ts';

export const BOOT_ID = '11111111-2222-4333-8444-555555555555';
const IDENTITY = Identity.parse({
  coordinator: 'https://127.0.0.1:1',
  ca: `sha256:${'a'.repeat(64)}`,
  instance: 'i-0123456789abcdef',
});

export function desiredOf(
  generation: number,
  modules: readonly ModuleRef[],
  history = 'h',
): Desired {
  return Desired.parse({
    ...{ format: 1, history, instance: IDENTITY.instance, node: 'web-1', generation },
    ...{ bootImage: null, modules, systemImage: null, settings: { hostname: 'renamed' } },
  });
}

const envelopeOf = (desired: Desired): Envelope => ({
  payloadType: 'application/vnd.billet.desired.v1+json',
  payload: Buffer.from(JSON.stringify(desired)).toString('base64'),
  signatures: [],
});

export function documentOf(desired: Desired, good: Desired | null = null): DesiredDocument {
  const reply = { envelope: envelopeOf(desired), rejected: [], good: good && envelopeOf(good) };
  return { etag: `g${desired.generation}`, reply };
}

export interface TestMachine {
  readonly ports: BootPorts;
  readonly lines: string[];
  markers(): MarkerRecord[];
  /** What the coordinator says next; an error is thrown. */
  answer: () => DesiredDocument;
  /** Ends a boot: nothing stays mounted; files below the run directory stay. */
  powerOff(): Promise<void>;
}

export async function testMachine(context: TestContext, shop: Workshop): Promise<TestMachine> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-boot-'));
  const paths = runPaths(join(dir, 'run'));
  const sysroot = join(dir, 'sysroot');
  for (const path of [sysroot, paths.state, paths.store, paths.var])
    await mkdir(path, { recursive: true });
  const mounts = hostMounts();
  const lines: string[] = [];
  const machine: TestMachine = {
    lines,
    markers: () => lines.flatMap((line) => parseMarker(line) ?? []),
    answer: () => {
      throw new BilletError('LINK_DOWN', 'no coordinator', { hint: 'none' });
    },
    async powerOff() {
      const below = (await mounts.table()).filter(({ target }) => target.startsWith(dir));
      for (const { target } of below.reverse()) mounts.unmount(target, { detach: true });
    },
    ports: {
      clock: { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 100, signal) },
      ...{ random: () => 0, paths, sysroot, mounts, exec: hostExec },
      log: bootLog({
        say: (line) => lines.push(line),
        uptimeSeconds: () => 1,
        path: paths.markers,
      }),
      facts: async () => FACTS,
      bootId: async () => BOOT_ID,
      trustPolicy: async () => shop.policy,
      networkUp: async () => ({
        addresses: [ADDRESS],
        ...{ dns: ['192.0.2.1'], ntp: [], plan: 'default' },
      }),
      networkFiles: async () => [],
      bootSlot: async () => null,
      openDataDisk: async () => DATA,
      closeDataDisk: async () => undefined,
      openMemory: async () => ({ ...DATA, kind: 'memory' }),
      slotsAtBoot: () => Promise.reject(new TypeError('no slots')),
      openSlots: () => {
        throw new TypeError('no slots');
      },
      install: async () => ({ kind: 'none' }),
      startDiskNext: async () => false,
      restart: () => Promise.reject(new TypeError('no restart')),
      discoverIdentity: async () => ({ identity: IDENTITY, source: 'test' }),
      recallInstance: async (source) => source,
      keptIdentity: async () => null,
      ensureEnrolled: async () =>
        ({ how: 'survived', credentials: { identity: IDENTITY } }) as Enrolled,
      openUplink: () => ({
        fetchDesired: async () => machine.answer(),
        sourceFor: () => shop.layout,
        reportInstall: async () => undefined,
        close: async () => undefined,
      }),
      openStore: (store) => openStore({ dir: store, mounts }),
    },
  };
  context.after(async () => {
    await machine.powerOff();
    await rm(dir, { recursive: true, force: true });
  });
  return machine;
}

const ADDRESS = {
  ...{ interface: 'eth0', mac: '52:54:00:00:00:01', cidr: '192.0.2.2/24' },
  ...({ family: 4, isDynamic: false } as const),
};

const DATA = { kind: 'persist', device: '/dev/test', partition: '/dev/test' } as const;

const FACTS = Facts.parse({
  ...{ architecture: 'x86_64', kernelRelease: '6.12.1-test', firmware: 'bios', secureBoot: false },
  ...{ cpuCount: 1, memoryBytes: 1, macs: [], disks: [] },
});
