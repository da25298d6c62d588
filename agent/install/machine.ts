// The real machine behind the ports of an installation. Wires; decides nothing.

import { join } from 'node:path';
import { bootEntries } from '../drivers/boot-entries.ts';
import { observeDisks } from '../drivers/disks.ts';
import type { RunPaths } from '../handover.ts';
import { textOrNull } from '../identity/source-file.ts';
import type { InstallPorts } from './ports.ts';
import { loadProfiles } from './profiles.ts';

export interface InstallMachine
  extends Pick<InstallPorts, 'clock' | 'log' | 'exec' | 'mounts' | 'vault' | 'releaseData'> {
  readonly paths: RunPaths;
}

/** efivarfs has to be mounted at its place. */
export const installPorts = ({ paths, ...machine }: InstallMachine): InstallPorts => ({
  ...machine,
  ...{ stateDir: paths.state, dataDir: paths.data, workDir: join(paths.run, 'install') },
  espType: 'vfat',
  observeDisks: () => observeDisks(),
  profiles: () => loadProfiles(),
  mappingName: async (device) => (await textOrNull(`/sys/block/${device}/dm/name`))?.trim() ?? null,
  firmware: bootEntries(),
});
