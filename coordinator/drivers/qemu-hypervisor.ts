// QEMU as a hypervisor of machines that outlive the coordinator: each is a process of its own, found
// again by the UUID on its command line and asked over QMP.

import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { type Accelerator, detachedArguments, type QemuSpec } from '#shared/qemu/arguments.ts';
import { openQmp } from '#shared/qemu/drivers/qmp.ts';
import { OperationKey } from '#shared/schema/provider.ts';
import { machineNames } from '../ids.ts';
import type { Hypervisor, MachinePlan } from '../providers/hypervisor.ts';
import type { Run } from './exec.ts';
import { fromArguments, killProcess, processesWith } from './processes.ts';

const PROGRAM = 'qemu-system-x86_64';
/** unix(7): sun_path, without its final NUL. */
const SOCKET_PATH_MAX = 107;
const QMP_MS = 2_000;
const GONE_POLL_MS = 20;

export interface QemuOptions {
  /** Where the directories of the machines are. */
  readonly root: string;
  readonly accelerator: Accelerator;
  readonly run: Run;
}

export function qemuHypervisor({ root, accelerator, run }: QemuOptions): Hypervisor {
  const pathsOf = (dir: string) => ({
    qmp: join(dir, 'qmp'),
    pid: join(dir, 'pid'),
    console: join(dir, 'console.log'),
  });
  const argumentsOf = (plan: MachinePlan) =>
    detachedArguments(specOf(plan, accelerator), pathsOf(plan.dir));
  const processesOf = (operation: OperationKey) => processesWith(machineNames(operation).uuid);

  return {
    describe: (plan) => [PROGRAM, ...argumentsOf(plan)],

    async check(signal) {
      const socket = pathsOf(join(root, `o-${'0'.repeat(16)}`)).qmp;
      if (Buffer.byteLength(socket) > SOCKET_PATH_MAX)
        throw new BilletError('CONFIG_INVALID', `${root} is too long a path for sockets`, {
          hint: `give a shorter stateDir, by ${Buffer.byteLength(socket) - SOCKET_PATH_MAX} bytes`,
        });
      await run([PROGRAM, '-version'], signal);
    },

    async start(plan, signal) {
      if ((await processesOf(plan.operation)).length > 0) return;
      const { code, stderr } = await run([PROGRAM, ...argumentsOf(plan)], signal);
      if (code === 0) return;
      throw new BilletError('PROVIDER_FAILED', `QEMU ended with ${code}: ${lastOf(stderr)}`, {
        hint: 'is there enough memory, and /dev/kvm with providers.local-qemu.accelerator kvm?',
      });
    },

    async state(operation) {
      if ((await processesOf(operation)).length === 0) return null;
      return await askedState(pathsOf(join(root, operation)).qmp, machineNames(operation).uuid);
    },

    async stop(operation, signal) {
      for (;;) {
        const processes = await processesOf(operation);
        if (processes.length === 0) return;
        for (const one of processes) await killProcess(one);
        await delay(GONE_POLL_MS, undefined, { signal });
      }
    },

    // By command lines: what has lost its directory is found all the same.
    list: () =>
      fromArguments((word) => {
        const operation = OperationKey.safeParse(basename(dirname(word))).data;
        return operation !== undefined && word === pathsOf(join(root, operation)).pid
          ? operation
          : null;
      }),
  };
}

const specOf = (plan: MachinePlan, accelerator: Accelerator): QemuSpec => ({
  name: plan.title,
  accelerator,
  memoryMib: plan.memoryMib,
  cpus: plan.cpuCount,
  uuid: plan.uuid,
  mac: plan.mac,
  disks: plan.disks.map((disk) => ({ ...disk, format: 'raw' })),
  ...(plan.start.kind === 'network'
    ? { bootUrl: plan.start.url }
    : {
        direct: plan.start,
        fwCfg: plan.start.fwCfg,
        oemStringPaths: plan.start.oemStringPaths,
      }),
});

const Uuid = z.object({ UUID: z.string() });
const Status = z.object({ status: z.string() });
/** QMP RunState: the machine is there and does nothing more. */
const ENDED = new Set(['shutdown', 'guest-panicked', 'internal-error', 'io-error']);

/** A machine whose monitor does not answer has a process all the same: it runs. */
async function askedState(socket: string, uuid: string): Promise<'running' | 'off'> {
  try {
    const qmp = await openQmp(socket, AbortSignal.timeout(QMP_MS));
    try {
      const limit = delay(QMP_MS, null, { ref: false });
      const told = await Promise.race([limit, qmp.execute('query-uuid')]);
      if (told === null) return 'running';
      const found = Uuid.parse(told).UUID;
      if (found !== uuid) throw otherMachine(socket, found);
      const state = await Promise.race([limit, qmp.execute('query-status')]);
      return state !== null && ENDED.has(Status.parse(state).status) ? 'off' : 'running';
    } finally {
      qmp.close();
    }
  } catch (error) {
    const silent = error instanceof BilletError && error.code !== 'PROVIDER_FAILED';
    if (silent) return 'running';
    throw error;
  }
}

const lastOf = (stderr: string) => stderr.trim().slice(-1000) || 'no reason given';

const otherMachine = (socket: string, uuid: string) =>
  new BilletError('PROVIDER_FAILED', `the machine at ${socket} says that it is ${uuid}`, {
    hint: 'two coordinators share one state directory: give each its own',
  });
