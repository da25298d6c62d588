// The machine that the figures are of. Reads, changes nothing.

import { cpus, loadavg, release, totalmem } from 'node:os';

export interface Machine {
  readonly model: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  /** Processes that wanted to run in the last minute, before the first bench. */
  readonly load: number;
}

export function thisMachine(): Machine {
  const all = cpus();
  return {
    model: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    load: Number((loadavg()[0] ?? 0).toFixed(1)),
  };
}
