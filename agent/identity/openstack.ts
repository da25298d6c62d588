// Identity from the metadata service of OpenStack. The config drive has the same tree: see
// config-drive.ts.

import { type CloudOptions, cloudStrategy } from './cloud.ts';
import { type MetadataClient, textOf } from './metadata-client.ts';
import { openstackIdentity, openstackMachine, type ReadOpenStack } from './openstack-data.ts';
import type { IdentityStrategy } from './strategy.ts';

export const OPENSTACK_URL = 'http://169.254.169.254';

export function openstackStrategy(options: CloudOptions): IdentityStrategy {
  return cloudStrategy(
    {
      provider: 'openstack',
      place: 'the user data of the OpenStack server, as JSON',
      identity: (client) => openstackIdentity(reader(client), 'OpenStack'),
      machine: (client) => openstackMachine(reader(client)),
    },
    options,
  );
}

const reader = (client: MetadataClient): ReadOpenStack => {
  return async (name) => {
    const path = `/openstack/latest/${name}`;
    return textOf(await client.send('GET', path, {}), path);
  };
};
