// From the order to `running`, of machines that a provider makes: of one, and of four at once, on this
// host. Direct boot, a store in memory each; the coordinator is part of this process.

import { join } from 'node:path';
import { z } from 'zod';
import { probeAccelerator } from '#shared/qemu/drivers/kvm.ts';
import { Instance } from '#shared/schema/records.ts';
import { killProcess, processesUnder } from '../../coordinator/drivers/processes.ts';
import { type Fleet, startFleet } from '../../lab/fleet.ts';
import { pushArtifacts } from '../../lab/node.ts';
import { freePort } from '../../lab/power.ts';
import type { Bench, BenchContext, Figure } from '../bench.ts';

const AT_ONCE = 4;
const LIMIT_SECONDS = 900;

export const provision: Bench = {
  name: 'boot/provision',
  limitMs: 1_500_000,
  needsArtifacts: true,
  async run(context) {
    const { artifacts, dir, signal } = context;
    const { kernel, initramfs } = artifacts().boot;
    const accelerator = await probeAccelerator(kernel, initramfs, signal);
    try {
      await using fleet = await startFleet({
        stateDir: join(dir, 'coordinator'),
        httpsPort: await freePort(),
        httpPort: await freePort(),
        signal,
        providers: { 'local-qemu': { mode: 'real', accelerator, machinesMax: AT_ONCE } },
      });
      await pushArtifacts(fleet, artifacts());
      const note = `${accelerator}, 2 vCPUs and 2 GiB each, direct boot, empty store in memory`;
      return [
        await measure(context, fleet, ['bench-1'], note),
        await measure(
          context,
          fleet,
          Array.from({ length: AT_ONCE }, (_, n) => `bench-${n + 2}`),
          `${note}; until the last of them runs`,
        ),
      ];
    } finally {
      // Machines outlive their coordinator.
      for (const machine of await processesUnder(dir)) await killProcess(machine);
    }
  },
};

async function measure(
  { clock, progress }: BenchContext,
  { billet }: Fleet,
  names: readonly string[],
  note: string,
): Promise<Figure> {
  for (const name of names) {
    const modules = ['--module', 'base:stable', '--module', 'web:stable'];
    await billet('node', 'create', name, ...modules, '--boot-image', 'boot:stable');
  }
  progress(`provisioning ${names.length} at once …`);
  const start = clock.monotonic();
  const flags = ['--provider', 'local-qemu', '--wait', '--timeout', `${LIMIT_SECONDS}`];
  const made = await billet('instance', 'provision', ...names, ...flags);
  const value = (clock.monotonic() - start) / 1000;
  for (const { id } of z.array(Instance).parse(made))
    await billet('instance', 'terminate', id, '--force', '--wait');
  const what = names.length === 1 ? 'one machine' : `${names.length} machines at once`;
  return { name: `provision to running, ${what}`, value, unit: 's', target: null, note };
}
