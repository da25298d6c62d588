// Which cloud this machine runs in, by what its firmware says (DMTF DSP0134, types 1 to 3). Reads
// sysfs only, so that bare metal never waits for a metadata service that is not there.

import { join } from 'node:path';
import { textOrNull } from './source-file.ts';

export type Provider = 'ec2' | 'gce' | 'azure' | 'openstack';

interface Dmi {
  readonly vendor: string;
  readonly product: string;
  readonly serial: string;
  readonly uuid: string;
  readonly assetTag: string;
}

/** The tag of every Azure machine: Microsoft's, and the same everywhere. */
const AZURE_TAG = '7783-7084-3265-9085-8269-3286-77';

/** As ds-identify of cloud-init tells them apart. */
const SIGNS: Readonly<Record<Provider, (dmi: Dmi) => boolean>> = {
  // Nitro says so; Xen has a UUID that begins with ec2.
  ec2: ({ vendor, uuid }) => vendor === 'Amazon EC2' || uuid.toLowerCase().startsWith('ec2'),
  gce: ({ product, serial }) =>
    product === 'Google Compute Engine' || serial.startsWith('GoogleCloud'),
  azure: ({ assetTag }) => assetTag === AZURE_TAG,
  openstack: ({ vendor, product, assetTag }) =>
    vendor === 'OpenStack Foundation' ||
    ['OpenStack Nova', 'OpenStack Compute'].includes(product) ||
    ['OpenStack Nova', 'OpenTelekomCloud', 'SAP CCloud VM', 'HUAWEICLOUD'].includes(assetTag),
};

export async function runsIn(provider: Provider, root: string): Promise<boolean> {
  const field = async (name: string) =>
    (await textOrNull(join(root, 'sys/class/dmi/id', name)))?.trim() ?? '';
  return SIGNS[provider]({
    vendor: await field('sys_vendor'),
    product: await field('product_name'),
    serial: await field('product_serial'),
    uuid: await field('product_uuid'),
    assetTag: await field('chassis_asset_tag'),
  });
}
