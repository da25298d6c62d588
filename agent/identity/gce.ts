// Identity from the custom metadata `user-data` of a Compute Engine instance. Requests and replies
// carry Metadata-Flavor: Google; a reply without it is somebody else's. Source: Compute Engine,
// "View and query VM metadata".

import { type CloudOptions, cloudStrategy } from './cloud.ts';
import { type MetadataClient, metadataFailed, textOf } from './metadata-client.ts';
import type { IdentityStrategy } from './strategy.ts';
import { identityInUserData } from './user-data.ts';

/** By its number: the name metadata.google.internal would need a resolver. */
export const GCE_URL = 'http://169.254.169.254';

const INSTANCE = '/computeMetadata/v1/instance';
const FLAVOR = 'Google';

export function gceStrategy(options: CloudOptions): IdentityStrategy {
  return cloudStrategy(
    {
      provider: 'gce',
      place: 'the metadata key user-data of the Compute Engine instance, as JSON',
      identity: async (client) =>
        identityInUserData(
          await gceText(client, '/attributes/user-data'),
          'GCE metadata user-data',
        ),
      async machine(client) {
        const instance = await gceText(client, '/id');
        if (instance === null) return null;
        // projects/NUMBER/zones/ZONE
        const zone = (await gceText(client, '/zone'))?.split('/').at(-1)?.slice(0, 256);
        const named = zone === undefined || zone === '' ? {} : { zone };
        return { provider: 'gce', instance: instance.slice(0, 256), ...named };
      },
    },
    options,
  );
}

export async function gceText(client: MetadataClient, path: string): Promise<string | null> {
  const where = INSTANCE + path;
  const reply = await client.send('GET', where, { 'Metadata-Flavor': FLAVOR });
  if (reply.headers['metadata-flavor'] !== FLAVOR)
    throw metadataFailed(`${where} answered ${reply.status} without Metadata-Flavor`, undefined);
  return textOf(reply, where);
}
