// The strategies of a machine, in the order of the design. Wires; decides nothing.

import { z } from 'zod';
import { blockDevices, labelledDrives, type OpenDrive } from '../drivers/labelled-drive.ts';
import { AZURE_URL, azureStrategy } from './azure.ts';
import { cmdlineStrategy } from './cmdline.ts';
import { configDriveStrategy, noCloudStrategy } from './config-drive.ts';
import { EC2_URL, ec2Strategy } from './ec2.ts';
import { fileStrategy, IDENTITY_FILE } from './file.ts';
import { fwCfgStrategy } from './fw-cfg.ts';
import { GCE_URL, gceStrategy } from './gce.ts';
import { imageStrategy } from './image.ts';
import { OPENSTACK_URL, openstackStrategy } from './openstack.ts';
import { smbiosStrategy } from './smbios.ts';
import type { IdentityStrategy } from './strategy.ts';

const url = z.url({ protocol: /^http$/ });

/** Base URLs of the metadata services: link-local, and plain HTTP as the clouds speak it. */
export const MetadataUrls = z.strictObject({
  ec2: url.default(EC2_URL),
  gce: url.default(GCE_URL),
  azure: url.default(AZURE_URL),
  openstack: url.default(OPENSTACK_URL),
});
export type MetadataUrls = z.infer<typeof MetadataUrls>;

export interface StrategyOptions {
  /** Stands before every path that is read. */
  readonly root?: string;
  readonly urls?: MetadataUrls;
  /** Resolves once there is a network. */
  readonly network?: (signal: AbortSignal) => Promise<void>;
  readonly openDrive?: OpenDrive;
  readonly identityFile?: string;
}

export function standardStrategies(options: StrategyOptions = {}): readonly IdentityStrategy[] {
  const { root = '/', urls = MetadataUrls.parse({}), network = async () => undefined } = options;
  const { openDrive = labelledDrives(blockDevices(root)), identityFile = IDENTITY_FILE } = options;
  const cloud = (name: keyof MetadataUrls) => ({ root, url: urls[name], network });
  return [
    cmdlineStrategy({ root }),
    fwCfgStrategy({ root }),
    smbiosStrategy({ root }),
    ec2Strategy(cloud('ec2')),
    gceStrategy(cloud('gce')),
    azureStrategy(cloud('azure')),
    openstackStrategy(cloud('openstack')),
    noCloudStrategy(openDrive),
    configDriveStrategy(openDrive),
    fileStrategy({ root, paths: [identityFile] }),
    imageStrategy({ root }),
  ];
}
