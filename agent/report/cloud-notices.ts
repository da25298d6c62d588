// How clouds say, on a machine, that they take it away: EC2 spot instances, preemptible and spot VMs of
// Compute Engine, spot machines of Azure. Reads the metadata service of the cloud that the firmware
// names, and nothing elsewhere.

import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { AZURE_URL } from '../identity/azure.ts';
import { runsIn } from '../identity/dmi.ts';
import { EC2_URL, ec2Text } from '../identity/ec2.ts';
import { GCE_URL, gceText } from '../identity/gce.ts';
import {
  type MetadataClient,
  metadataFailed,
  metadataJson,
  textOf,
  withMetadata,
} from '../identity/metadata-client.ts';
import type { Notice, Notices } from './preemption.ts';

/** EC2 User Guide, "Spot Instance interruption notices": 404 while there is none. */
const EC2_ACTION = '/latest/meta-data/spot/instance-action';
const Ec2Action = z.object({ action: z.string(), time: z.iso.datetime() });

async function ec2Notice(client: MetadataClient): Promise<number | null> {
  const text = await ec2Text(client, EC2_ACTION);
  if (text === null) return null;
  const action = Ec2Action.safeParse(metadataJson(text, EC2_ACTION));
  if (action.success) return Date.parse(action.data.time);
  throw metadataFailed(`${EC2_ACTION} names no action and time`, undefined);
}

/** Compute Engine, "Preemptible VM instances": ACPI G2 Soft Off, and 30 s until G3. */
const GCE_PREEMPTED = '/preempted';
const GCE_LEFT_MS = 30_000;

/** Azure, "Scheduled Events": events of all machines of a set; NotBefore is empty once it has begun. */
const AZURE_EVENTS = '/metadata/scheduledevents?api-version=2020-07-01';
const AZURE_NAME = '/metadata/instance/compute/name?api-version=2021-02-01&format=text';
const AzureEvents = z.object({
  Events: z.array(
    z.object({
      EventType: z.string(),
      Resources: z.array(z.string()),
      NotBefore: z.string(),
    }),
  ),
});
const AZURE_HEADERS = { Metadata: 'true' };

/** Without a time it is now: what is past is the earliest there is. */
async function azureNotice(client: MetadataClient): Promise<number | null> {
  const read = async (path: string) =>
    textOf(await client.send('GET', path, AZURE_HEADERS), path.split('?')[0] ?? path);
  const text = await read(AZURE_EVENTS);
  if (text === null) return null;
  const { data } = AzureEvents.safeParse(metadataJson(text, AZURE_EVENTS));
  if (data === undefined) throw metadataFailed('Azure scheduled events have no list', undefined);
  const preempts = data.Events.filter(({ EventType }) => EventType === 'Preempt');
  if (preempts.length === 0) return null;
  const name = (await read(AZURE_NAME))?.trim();
  const mine = preempts.find(({ Resources }) => name !== undefined && Resources.includes(name));
  if (mine === undefined) return null;
  return mine.NotBefore === '' ? 0 : Date.parse(mine.NotBefore);
}

interface CloudOptions {
  readonly root: string;
  /** Base URLs of the metadata services. */
  readonly urls?: { readonly ec2: string; readonly gce: string; readonly azure: string };
  readonly clock: Clock;
}

const URLS = { ec2: EC2_URL, gce: GCE_URL, azure: AZURE_URL };

export const cloudNotices =
  ({ root, urls = URLS, clock }: CloudOptions): Notices =>
  async () => {
    if (await runsIn('ec2', root)) return asked(urls.ec2, ec2Notice);
    if (await runsIn('azure', root)) return asked(urls.azure, azureNotice);
    if (!(await runsIn('gce', root))) return null;
    /** It says only that, so the first time counts. */
    let first: number | null = null;
    return asked(urls.gce, async (client) => {
      const preempted = (await gceText(client, GCE_PREEMPTED))?.trim() === 'TRUE';
      if (preempted) first ??= clock.now() + GCE_LEFT_MS;
      return preempted ? first : null;
    });
  };

const asked =
  (url: string, read: (client: MetadataClient) => Promise<number | null>): Notice =>
  (signal) =>
    withMetadata(url, signal, read);
