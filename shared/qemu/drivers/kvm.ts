// Whether KVM works here. /dev/kvm may exist and still hang with an ordinary kernel, so one is tried.

import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Accelerator } from '../arguments.ts';
import { startMachine } from './qemu.ts';

/** A working KVM prints its first kernel line in well under a second. */
const PROBE_MS = 6000;

/** Starts `kernel` under KVM and looks for life on its console; `tcg` on anything else. */
export async function probeAccelerator(
  kernel: string,
  initramfs: string,
  signal: AbortSignal,
): Promise<Accelerator> {
  const usable = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!usable) return 'tcg';
  const dir = await mkdtemp(join(tmpdir(), 'billet-kvm-'));
  try {
    return (await boots(kernel, initramfs, join(dir, 'console.log'), signal)) ? 'kvm' : 'tcg';
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function boots(
  kernel: string,
  initramfs: string,
  log: string,
  signal: AbortSignal,
): Promise<boolean> {
  const spec = {
    name: 'billet-kvm-probe',
    accelerator: 'kvm',
    memoryMib: 512,
    cpus: 1,
    uuid: '00000000-0000-4000-8000-000000000000',
    mac: '52:54:00:00:00:01',
    direct: { kernel, initramfs, commandLine: 'console=ttyS0 rdinit=/usr/bin/true panic=-1' },
  } as const;
  try {
    await using machine = await startMachine(spec, log, signal);
    const alive = new Promise<boolean>((resolve) => {
      // The kernel ends by panic because its init ends: by then it has run user space.
      machine.onLine((line) => line.includes('Attempted to kill init') && resolve(true));
    });
    return await Promise.race([
      alive,
      machine.exited.then(() => false),
      delay(PROBE_MS, false, { signal }),
    ]);
  } catch (error) {
    signal.throwIfAborted();
    // QEMU refuses KVM where the host does not offer it: that is an answer.
    if (error instanceof Error) return false;
    throw error;
  }
}
