// From power-on to `running` with everything on the disk and the kernel given directly, and what the
// agent costs a machine that has nothing to do.

import { setTimeout as delay } from 'node:timers/promises';
import { BilletError } from '#shared/errors.ts';
import { shellOf } from '../../lab/node.ts';
import type { PoweredMachine } from '../../lab/power.ts';
import type { Bench, BenchContext, Figure } from '../bench.ts';
import { firstBoot, openBootLab, persistDisk, stageFigures, warmIdentity } from './lab.ts';

/** What an agent may have left before is swept once, half a minute after its start. */
const SETTLE_MS = 90_000;
const IDLE_SECONDS = 60;
/** USER_HZ of Linux (times(2)). */
const TICKS_PER_SECOND = 100;

export const warm: Bench = {
  name: 'boot/warm',
  limitMs: 600_000,
  needsArtifacts: true,
  async run(context) {
    await using lab = await openBootLab(context);
    const path = await persistDisk(context);
    const disks = [{ path, format: 'raw', serial: 'persist0' }] as const;
    context.progress('a first boot, to fill the disk');
    await firstBoot(lab, disks);
    const identity = await warmIdentity(lab);
    await using machine = await lab.boot({ boot: 'direct', disks, identity });
    const value = await lab.untilRunning(machine);
    const stages = stageFigures(machine);
    return [
      {
        name: 'warm boot to running',
        value,
        unit: 's',
        target: { at: 'most', value: 30 },
        note: 'TCG, 2 vCPUs, 2 GiB, store on a disk, kernel given directly',
      },
      ...stages,
      ...(await idleFigures(machine, context)),
    ];
  },
};

interface Usage {
  readonly residentKb: number;
  readonly ticks: number;
  readonly writtenBytes: number;
  readonly sectors: number;
}

async function idleFigures(machine: PoweredMachine, context: BenchContext): Promise<Figure[]> {
  context.progress(`an idle minute, after ${SETTLE_MS / 1000} s to settle`);
  const shell = await shellOf(machine);
  const read = async (): Promise<Usage> =>
    usageOf(
      await shell.must(
        'p=$(systemctl show -P MainPID billet-agent); grep VmRSS /proc/$p/status; ' +
          'cat /proc/$p/stat; grep ^write_bytes /proc/$p/io; cat /sys/block/vda/stat',
      ),
    );
  await delay(SETTLE_MS, undefined, { signal: context.signal });
  const before = await read();
  await delay(IDLE_SECONDS * 1000, undefined, { signal: context.signal });
  const after = await read();
  shell.close();
  const cpuSeconds = (after.ticks - before.ticks) / TICKS_PER_SECOND;
  return [
    {
      name: 'agent, resident memory when idle',
      value: after.residentKb / 1000,
      unit: 'MB',
      target: { at: 'most', value: 90 },
    },
    {
      name: 'agent, CPU when idle',
      value: (100 * cpuSeconds) / IDLE_SECONDS,
      unit: '%',
      target: { at: 'most', value: 0.2 },
      note: 'of one emulated CPU, which is some ten times slower than a real one',
    },
    {
      name: 'agent, bytes written when idle',
      value: after.writtenBytes - before.writtenBytes,
      unit: 'B',
      target: { at: 'most', value: 0 },
    },
    {
      name: 'sectors written to the disk when idle',
      value: after.sectors - before.sectors,
      unit: 'sectors',
      target: null,
    },
  ];
}

/** proc_pid_stat(5): fields 14 and 15 after the name in brackets; iostats: field 7 is sectors written. */
function usageOf(text: string): Usage {
  const [status = '', stat = '', io = '', disk = ''] = text
    .split('\n')
    .filter((line) => line.trim() !== '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const usage = {
    residentKb: Number(/(\d+) kB/.exec(status)?.[1]),
    ticks: Number(fields[11]) + Number(fields[12]),
    writtenBytes: Number(/(\d+)$/.exec(io)?.[1]),
    sectors: Number(disk.trim().split(/\s+/)[6]),
  };
  if (Object.values(usage).every(Number.isFinite)) return usage;
  throw new BilletError('COMMAND_FAILED', `not what /proc says of a process: ${text}`, {
    hint: 'does billet-agent.service run?',
  });
}
