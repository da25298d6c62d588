// From power-on over the network to `running`, on an empty store: 2 vCPUs, 2 GiB, emulated.

import type { Bench } from '../bench.ts';
import { openBootLab, stageFigures } from './lab.ts';

export const cold: Bench = {
  name: 'boot/cold',
  limitMs: 420_000,
  needsArtifacts: true,
  async run(context) {
    await using lab = await openBootLab(context);
    await using machine = await lab.boot({ boot: 'network' });
    const value = await lab.untilRunning(machine);
    return [
      {
        name: 'cold network boot to running',
        value,
        unit: 's',
        target: { at: 'most', value: 60 },
        note: 'TCG, 2 vCPUs, 2 GiB, empty store in memory, three modules',
      },
      ...stageFigures(machine),
    ];
  },
};
