// Power cuts in the middle of an installation, for tests: a boot that ends before one of the things that
// change the disk, or in the middle of those that take their time.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import { type WriteRecord, writeRecord } from '../../agent/install/journal.ts';
import type { InstallPorts, InstallRequest } from '../../agent/install/ports.ts';
import { runInstall } from '../../agent/install/run-install.ts';
import { type TestMachine, testMachine } from './install-disk-fixture.ts';
import { inspect } from './install-inspect.ts';

const ORDER = 'BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** What changes the disk; others only look. */
const CHANGES = /^(wipefs --all|.*systemd-repart|mke2fs)/;

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
export async function boot(
  machine: TestMachine,
  { at, repartMs, bytes, write = writeRecord }: Cutting,
) {
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

export async function endState(machine: TestMachine) {
  const [disk] = machine.disks;
  assert.ok(disk);
  const order = await readFile(join(machine.efivars, ORDER));
  return { ...(await inspect(machine, disk)), order: order.toString('hex') };
}

export const wipes = ({ lines }: TestMachine) =>
  lines.filter((line) => line.includes('install-step step=wipe')).length;

/** As it comes out without any power cut, and the number of changes on the way. */
export async function reference(context: TestContext) {
  const machine = await testMachine(context);
  await machine.addDisk();
  const { outcome, changes } = await boot(machine, { at: null });
  assert.equal(outcome, 'installed', machine.lines.join('\n'));
  return { changes, end: await endState(machine) };
}
