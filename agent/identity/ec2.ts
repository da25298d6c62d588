// Identity from EC2 user data by IMDSv2 only: a session token first, then everything with it. Never
// asks without a token (IMDSv1). Source: EC2 User Guide, "Use the Instance Metadata Service".

import { z } from 'zod';
import type { CloudMachine } from '#shared/schema/facts.ts';
import { type CloudOptions, cloudStrategy } from './cloud.ts';
import { type MetadataClient, metadataFailed, metadataJson, textOf } from './metadata-client.ts';
import type { IdentityStrategy } from './strategy.ts';
import { identityInUserData } from './user-data.ts';

export const EC2_URL = 'http://169.254.169.254';

const TTL_SECONDS = '60';
const USER_DATA = '/latest/user-data';
const DOCUMENT = '/latest/dynamic/instance-identity/document';
const UNAUTHORIZED = 401;

/** What of the instance identity document counts here. */
const InstanceIdentity = z.object({
  instanceId: z.string().max(256),
  availabilityZone: z.string().max(256).optional(),
});

export function ec2Strategy(options: CloudOptions): IdentityStrategy {
  return cloudStrategy(
    {
      provider: 'ec2',
      place: 'the user data of the EC2 instance, as JSON',
      identity: async (client) =>
        identityInUserData(await ec2Text(client, USER_DATA), 'EC2 user data'),
      async machine(client): Promise<CloudMachine | null> {
        const text = await ec2Text(client, DOCUMENT);
        if (text === null) return null;
        const document = InstanceIdentity.safeParse(metadataJson(text, DOCUMENT));
        if (!document.success) throw metadataFailed(`${DOCUMENT} has no instanceId`, undefined);
        const { instanceId: instance, availabilityZone: zone } = document.data;
        return { provider: 'ec2', instance, ...(zone === undefined ? {} : { zone }) };
      },
    },
    options,
  );
}

/** Null for a 404. A token that is refused is replaced once: it may have run out on the way. */
export async function ec2Text(client: MetadataClient, path: string): Promise<string | null> {
  const ask = async () =>
    client.send('GET', path, { 'X-aws-ec2-metadata-token': await sessionToken(client) });
  let reply = await ask();
  if (reply.status === UNAUTHORIZED) reply = await ask();
  return textOf(reply, path);
}

async function sessionToken(client: MetadataClient): Promise<string> {
  const path = '/latest/api/token';
  const reply = await client.send('PUT', path, {
    'X-aws-ec2-metadata-token-ttl-seconds': TTL_SECONDS,
  });
  const token = textOf(reply, path);
  if (token !== null && /^[\x21-\x7e]{1,1024}$/.test(token)) return token;
  throw metadataFailed(`${path} gave no token`, undefined);
}
