// Power cuts in the middle of an installation, on real block devices: before each thing that changes the
// disk, and in the middle of those that take their time. Another run always comes to the same end.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import { type WriteRecord, writeRecord } from '../../agent/install/journal.ts';
import type { InstallPorts, InstallRequest } from '../../agent/install/ports.ts';
import { runInstall } from '../../agent/install/run-install.ts';
import { type TestMachine, testMachine } from './install-disk-fixture.ts';
import { inspect } from './install-inspect.ts';

const ORDER = 'BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** What changes the disk; others only look. */
const CHANGES = /^(wipefs --all|.*systemd-repart|mke2fs)/;
/** Shares of systemd-repart's time after which it is killed. */
const REPART_MS = [20, 80, 150];

/** Ends a run as a power cut does: nothing that comes after it happens. */
function powerCut() {
  const off = new AbortController();
  const cut = (): never => {
    off.abort(new Error('power cut'));
    throw off.signal.reason;
  };
  return { signal: off.signal, cut };
}

interface Cutting {
  /** The change that does not happen any more, counted from 0; null: all happen. */
  readonly at: number | null;
  readonly repartMs?: number;
  /** Of the boot image that arrives. */
  readonly bytes?: number;
  readonly write?: WriteRecord;
}

/** One boot with an installation. Returns how many changes it made, and what came of it. */
async function boot(machine: TestMachine, { at, repartMs, bytes, write = writeRecord }: Cutting) {
  const { signal, cut } = powerCut();
  let changes = 0;
  const change = () => {
    if (changes === at) cut();
    changes += 1;
  };
  const { exec, mounts, firmware } = machine.ports;
  const ports: InstallPorts = {
    ...machine.ports,
    exec: async (argv, inner, input) => {
      if (CHANGES.test(argv.join(' '))) change();
      const slow = repartMs !== undefined && argv.includes('systemd-repart');
      if (slow) setTimeout(() => signal.aborted || abort(), repartMs);
      return await exec(argv, AbortSignal.any([inner, signal]), input);
    },
    mounts: {
      ...mounts,
      mount(request) {
        change();
        mounts.mount(request);
      },
    },
    firmware: {
      async startFirst(entry) {
        change();
        await firmware.startFirst(entry);
      },
    },
  };
  const abort = () => {
    try {
      cut();
    } catch (error) {
      assert.match(String(error), /power cut/);
    }
  };
  const record: WriteRecord = async (device, each) => {
    change();
    await write(device, each);
  };
  const outcome = await runInstall(ports, cutShort(machine.request(), bytes, cut), signal, record)
    .then(({ kind }) => kind)
    .catch((error: unknown) => String(error));
  const left = (await mounts.table()).filter(({ target }) => target.startsWith(machine.dir));
  for (const { target } of left.reverse()) mounts.unmount(target, { detach: true });
  return { outcome, changes };
}

/** The connection, and the machine with it, end after so many bytes of the boot image. */
function cutShort(request: InstallRequest, bytes: number | undefined, cut: () => never) {
  const { uplink } = request;
  if (bytes === undefined || uplink === null) return request;
  const sourceFor: typeof uplink.sourceFor = (ref, signal) => {
    const source = uplink.sourceFor(ref, signal);
    return { ...source, blob: (file, options) => part(source, file, options) };
  };
  async function* part(source: ArtifactSource, ...args: Parameters<ArtifactSource['blob']>) {
    let left = bytes ?? 0;
    for await (const chunk of source.blob(...args)) {
      yield chunk.subarray(0, left);
      left -= chunk.length;
      if (left <= 0) cut();
    }
  }
  return { ...request, uplink: { ...uplink, sourceFor } };
}

async function endState(machine: TestMachine) {
  const [disk] = machine.disks;
  assert.ok(disk);
  const order = await readFile(join(machine.efivars, ORDER));
  return { ...(await inspect(machine, disk)), order: order.toString('hex') };
}

const wipes = ({ lines }: TestMachine) =>
  lines.filter((line) => line.includes('install-step step=wipe')).length;

/** As it comes out without any power cut, and the number of changes on the way. */
async function reference(context: TestContext) {
  const machine = await testMachine(context);
  await machine.addDisk();
  const { outcome, changes } = await boot(machine, { at: null });
  assert.equal(outcome, 'installed', machine.lines.join('\n'));
  return { changes, end: await endState(machine) };
}

test('a power cut before any change: the next boot goes on, and comes to the same end', async (context) => {
  const { changes, end } = await reference(context);
  assert.ok(changes >= 14, `${changes} changes`);
  const machine = await testMachine(context);
  await machine.addDisk();
  // One machine, cut off again and again, each time after one change more.
  for (let at = 0; ; at += 1) {
    const { outcome } = await boot(machine, { at });
    if (outcome === 'installed') break;
    assert.match(outcome, /power cut/, machine.lines.join('\n'));
    assert.ok(at < changes, machine.lines.slice(-20).join('\n'));
  }
  assert.deepEqual(await endState(machine), end);
});

test('each single change may be the last before the power goes', async (context) => {
  const { changes, end } = await reference(context);
  for (let at = 0; at < changes; at += 1) {
    const machine = await testMachine(context);
    await machine.addDisk();
    const { outcome } = await boot(machine, { at });
    assert.match(outcome, /power cut/);
    const again = await boot(machine, { at: null });
    assert.equal(again.outcome, 'installed', `${at}: ${machine.lines.join('\n')}`);
    assert.deepEqual(await endState(machine), end, `cut before change ${at}`);
    assert.ok(wipes(machine) <= 2 && (at < 5 || wipes(machine) === 1), `${at}: ${wipes(machine)}`);
    await machine.dispose();
  }
});

test('systemd-repart and the download may be cut off in the middle', async (context) => {
  const { end } = await reference(context);
  const middles = [
    ...REPART_MS.map((repartMs) => ({ repartMs })),
    { bytes: 5 },
    { bytes: 2 ** 20 },
  ];
  for (const middle of middles) {
    const machine = await testMachine(context);
    await machine.addDisk();
    await boot(machine, { at: null, ...middle });
    const again = await boot(machine, { at: null });
    assert.match(again.outcome, /installed|present/, machine.lines.join('\n'));
    assert.deepEqual(await endState(machine), end, JSON.stringify(middle));
    assert.equal(wipes(machine), 1);
    await machine.dispose();
  }
});

test('without its journal the same machine is not brought to its end: that is what it is for', async (context) => {
  const machine = await testMachine(context);
  await machine.addDisk();
  const write: WriteRecord = async () => undefined;
  await boot(machine, { at: 8, write });
  const again = await boot(machine, { at: null, write });
  assert.equal(again.outcome, 'refused', machine.lines.at(-1) ?? '');
  assert.match(machine.lines.at(-1) ?? '', /INSTALL_DISK_HOLDS_DATA/);
});
