// The boot image of a node, or why there is none and which command mends that. Decides nothing about
// nodes; who provisions asks here first.

import { BilletError } from '#shared/errors.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import type { ResourceName } from '#shared/schema/ids.ts';
import type { NodeRecord } from '../nodes/records.ts';
import type { Records } from '../records.ts';

type Bootable = Pick<NodeRecord, 'name' | 'derived'>;

/** What a machine of the node boots. NETBOOT_IMAGE_MISSING, with the command that publishes it. */
export async function requireBootImage(records: Records, node: Bootable): Promise<BootImage> {
  const { bootImage, platform } = node.derived;
  if (bootImage !== null) return bootImage;
  if (platform === null)
    throw new BilletError('NETBOOT_IMAGE_MISSING', `node ${node.name} has no boot image`, {
      hint: `billet node set ${node.name} --boot-image REPOSITORY:TAG, or give it a template with a platform`,
      details: { node: node.name },
    });
  throw new BilletError(
    'NETBOOT_IMAGE_MISSING',
    `node ${node.name} boots the platform ${platform}, of which nothing is published`,
    {
      hint: await publishCommand(records, node, platform),
      details: { node: node.name, platform },
    },
  );
}

/** For what is there and not published; else for a new one. */
async function publishCommand(
  { catalog }: Records,
  node: Bootable,
  platform: ResourceName,
): Promise<string> {
  const { template } = node.derived;
  const found = template === null ? null : await catalog.template.get(template);
  const pinned = found?.record.spec.publication;
  if (pinned) return `billet publication publish ${pinned}`;
  for await (const { record } of catalog.publication.all())
    if (record.spec.platform === platform && record.spec.status !== 'published')
      return `billet publication publish ${record.name}`;
  return `billet publication create NAME --platform ${platform} --boot-image REPOSITORY:TAG --publish`;
}
