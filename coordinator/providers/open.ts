// The providers that the configuration asks for. Wires; decides nothing, and makes no machine.

import { join } from 'node:path';
import type { ProviderKind, ProviderMode } from '#shared/schema/provider.ts';
import { labelDiskBy } from '../drivers/disk-label.ts';
import { runProgram } from '../drivers/exec.ts';
import { libvirtHypervisor } from '../drivers/libvirt.ts';
import { qemuHypervisor } from '../drivers/qemu-hypervisor.ts';
import type { ProvidersConfig } from './config.ts';
import type { Hypervisor } from './hypervisor.ts';
import { machineFiles } from './machine-files.ts';
import { disabledProvider, machineProvider } from './machine-provider.ts';
import type { Provider, Providers } from './provider.ts';
import { recorder } from './recorder.ts';

/** Machines live under `<stateDir>/qemu` and `<stateDir>/libvirt`. */
export function openProviders(stateDir: string, config: ProvidersConfig): Providers {
  const labelDisk = labelDiskBy(runProgram);
  const { 'local-qemu': qemu, libvirt } = config;
  const [qemuRoot, libvirtRoot] = [join(stateDir, 'qemu'), join(stateDir, 'libvirt')];

  function provider(
    name: Provider['name'],
    root: string,
    { mode, machinesMax }: { readonly mode: ProviderMode; readonly machinesMax: number },
    real: Hypervisor,
  ): Provider {
    if (mode === 'disabled') return disabledProvider(name);
    const hypervisor = mode === 'real' ? real : recorder(root, real.describe);
    const files = machineFiles(root);
    return machineProvider({ name, mode, machinesMax, files, hypervisor, labelDisk });
  }

  const run = runProgram;
  return new Map<ProviderKind, Provider>([
    [
      'local-qemu',
      provider(
        'local-qemu',
        qemuRoot,
        qemu,
        qemuHypervisor({ root: qemuRoot, accelerator: qemu.accelerator, run }),
      ),
    ],
    ['libvirt', provider('libvirt', libvirtRoot, libvirt, libvirtHypervisor({ ...libvirt, run }))],
  ]);
}
