// A machine of QEMU as transport: UEFI firmware, one blank disk, the ISO in a drive. It stands for the
// server: same image, same console, same evidence. Everything of it is gone afterwards.

import { access, copyFile, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import type { Accelerator, QemuSpec } from '#shared/qemu/arguments.ts';
import { type Machine, startMachine } from '#shared/qemu/drivers/qemu.ts';
import type { ConsoleSource } from '../chunks.ts';
import { runTool } from '../drivers/run-tool.ts';
import { followFile } from '../follow-file.ts';
import type { Attached, Medium, Probe, Transport } from './transport.ts';

export interface QemuMachine {
  readonly accelerator: Accelerator;
  readonly memoryMib: number;
  readonly cpus: number;
  readonly diskBytes: number;
  readonly diskSerial: string;
  readonly mac: string;
  readonly uuid: string;
  readonly firmware: 'uefi' | 'bios';
  /** Handed over by fw_cfg, before what the image has baked in: who its coordinator is. */
  readonly identity: Readonly<Record<string, string>>;
}

/** Debian's OVMF with 4 MiB of flash (package ovmf). */
const FIRMWARE = {
  code: '/usr/share/OVMF/OVMF_CODE_4M.fd',
  vars: '/usr/share/OVMF/OVMF_VARS_4M.fd',
};
const PROGRAM = 'qemu-system-x86_64';
const VERSION_LIMIT_MS = 10_000;
/** What the machine wrote last is read once it is gone. */
const DRAIN_MS = 300;

export function qemuTransport(clock: Clock, machine: QemuMachine, iso?: string): Transport {
  return {
    name: 'qemu',
    async probe(signal) {
      const found = await runTool([PROGRAM, '--version'], { signal, timeoutMs: VERSION_LIMIT_MS });
      const version = found?.stdout.split('\n')[0]?.trim() ?? null;
      if (found === null || found.code !== 0)
        return missing(`${PROGRAM} is not installed`, 'apt-get install qemu-system-x86');
      if (machine.firmware === 'uefi' && !(await isThere(FIRMWARE.code)))
        return missing('there is no UEFI firmware for QEMU', 'apt-get install ovmf');
      if (iso === undefined)
        return missing(
          'no ISO image is named',
          'name one with --iso; `npm run hardware-smoke` makes one with a coordinator beside it',
        );
      return probe(true, version ?? PROGRAM, '', { version, firmware: machine.firmware });
    },
    attach: (medium, signal) => attach(clock, machine, medium, signal),
  };
}

async function attach(
  clock: Clock,
  machine: QemuMachine,
  { iso }: Medium,
  signal: AbortSignal,
): Promise<Attached> {
  signal.throwIfAborted();
  const dir = await mkdtemp(join(tmpdir(), 'billet-smoke-'));
  const log = join(dir, 'console.log');
  let started: Machine | null = null;
  const gone = new AbortController();
  const dispose = async () => {
    await started?.dispose();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const spec = await specOf(machine, dir, iso);
    return {
      console: untilGone(clock, log, gone.signal),
      async boot(until) {
        started = await startMachine(spec, log, until);
        started.exited
          .then(() => clock.sleep(DRAIN_MS, until))
          .catch(() => undefined)
          .finally(() => gone.abort());
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Files of the machine in `dir`: a blank sparse disk, a variable store of its own, its identity. */
async function specOf(machine: QemuMachine, dir: string, iso: string | null): Promise<QemuSpec> {
  const { accelerator, memoryMib, cpus, mac, uuid, diskSerial: serial } = machine;
  const path = join(dir, 'disk.raw');
  await using disk = await open(path, 'wx');
  await disk.truncate(machine.diskBytes);
  const vars = join(dir, 'vars.fd');
  if (machine.firmware === 'uefi') await copyFile(FIRMWARE.vars, vars);
  const fwCfg = [];
  for (const [key, value] of Object.entries(machine.identity)) {
    const file = join(dir, `identity-${key}`);
    await writeFile(file, value, { mode: 0o600 });
    fwCfg.push({ name: `billet/${key}`, path: file });
  }
  return {
    ...{ name: 'billet-smoke', accelerator, memoryMib, cpus, mac, uuid, fwCfg },
    disks: [{ path, format: 'raw', serial }],
    ...(machine.firmware === 'uefi' && { firmware: { code: FIRMWARE.code, vars } }),
    ...(iso !== null && { cdrom: iso }),
  };
}

const untilGone = (clock: Clock, log: string, gone: AbortSignal): ConsoleSource => ({
  name: 'the serial line of the machine',
  read: (signal) => followFile(log, { clock, follow: true }, AbortSignal.any([signal, gone])),
});

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

const probe = (
  available: boolean,
  why: string,
  hint: string,
  details: Probe['details'] = {},
): Probe => ({
  ...{ transport: 'qemu', available, why, hint, details },
  code: available ? null : 'SMOKE_BLOCKED',
});

const missing = (why: string, hint: string) => probe(false, why, hint);
