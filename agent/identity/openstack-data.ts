// The tree openstack/latest/, which the metadata service and the config drive both show: user data
// first, then what the cloud's own operator adds as vendor data. Source: Nova admin guide, "Metadata
// service", "Config drives" and "Vendordata".

import { z } from 'zod';
import type { CloudMachine } from '#shared/schema/facts.ts';
import { parseIdentityJson } from './identity-json.ts';
import { metadataFailed, metadataJson } from './metadata-client.ts';
import type { IdentityValues } from './strategy.ts';
import { identityInUserData } from './user-data.ts';

/** The text of a file below openstack/latest/, or null when there is none. */
export type ReadOpenStack = (name: string) => Promise<string | null>;

const META_DATA = 'meta_data.json';
/** Static, then dynamic: there the key is the name of the service that made it. */
const VENDOR_DATA = ['vendor_data.json', 'vendor_data2.json'] as const;

const MetaData = z.object({
  uuid: z.string().max(256),
  availability_zone: z.string().max(256).nullish(),
});
const VendorData = z.object({ billet: z.unknown() });

/**
 * The identity in user_data, else under the key `billet` of vendor data; null without either, and
 * where meta_data.json is missing. CONFIG_INVALID, METADATA_FAILED.
 */
export async function openstackIdentity(
  read: ReadOpenStack,
  where: string,
): Promise<IdentityValues | null> {
  if ((await read(META_DATA)) === null) return null;
  const found = identityInUserData(await read('user_data'), `${where} user_data`);
  if (found !== null) return found;
  for (const name of VENDOR_DATA) {
    const text = await read(name);
    const parsed = text === null ? null : VendorData.safeParse(metadataJson(text, name));
    const document = parsed?.data?.billet;
    if (document !== undefined && document !== null)
      return parseIdentityJson(JSON.stringify(document), `${where} ${name} billet`);
  }
  return null;
}

export async function openstackMachine(read: ReadOpenStack): Promise<CloudMachine | null> {
  const text = await read(META_DATA);
  if (text === null) return null;
  const meta = MetaData.safeParse(metadataJson(text, META_DATA));
  if (!meta.success) throw metadataFailed(`${META_DATA} has no uuid`, undefined);
  const { uuid: instance, availability_zone: zone } = meta.data;
  return { provider: 'openstack', instance, ...(zone ? { zone } : {}) };
}
