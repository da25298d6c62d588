// Identity from the user data of an Azure machine. Requests carry Metadata: true and an api-version.
// Source: "Azure Instance Metadata Service for virtual machines", Usage and User data.

import { z } from 'zod';
import { type CloudOptions, cloudStrategy } from './cloud.ts';
import { type MetadataClient, metadataFailed, metadataJson, textOf } from './metadata-client.ts';
import type { IdentityStrategy } from './strategy.ts';
import { identityInUserData } from './user-data.ts';

export const AZURE_URL = 'http://169.254.169.254';

/** The first with user data is 2021-01-01. */
const API_VERSION = '2021-02-01';
const COMPUTE = '/metadata/instance/compute';
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const Compute = z.object({
  vmId: z.string().max(256),
  location: z.string().max(200).optional(),
  /** Empty outside availability zones. */
  zone: z.string().max(50).optional(),
});

export function azureStrategy(options: CloudOptions): IdentityStrategy {
  return cloudStrategy(
    {
      provider: 'azure',
      place: 'the user data of the Azure machine, as JSON',
      async identity(client) {
        const encoded = (await get(client, `${COMPUTE}/userData`, 'text'))?.trim() ?? '';
        if (!BASE64.test(encoded)) throw metadataFailed('Azure user data is no base64', undefined);
        const text = Buffer.from(encoded, 'base64').toString('utf8');
        return identityInUserData(text, 'Azure user data');
      },
      async machine(client) {
        const text = await get(client, COMPUTE, 'json');
        if (text === null) return null;
        const compute = Compute.safeParse(metadataJson(text, COMPUTE));
        if (!compute.success) throw metadataFailed(`${COMPUTE} has no vmId`, undefined);
        const { vmId: instance, location, zone } = compute.data;
        const place = [location, zone]
          .filter((part) => part !== undefined && part !== '')
          .join('-');
        return { provider: 'azure', instance, ...(place === '' ? {} : { zone: place }) };
      },
    },
    options,
  );
}

async function get(client: MetadataClient, path: string, format: 'text' | 'json') {
  const query = `?api-version=${API_VERSION}&format=${format}`;
  return textOf(await client.send('GET', path + query, { Metadata: 'true' }), path);
}
