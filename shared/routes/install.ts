// Installations as operators work with them: ordered, looked at before, and the recovery keys that come
// of them. Bodies are strict. What nodes report is a route of theirs (node.ts).

import { z } from 'zod';
import { InstanceId } from '../schema/ids.ts';
import { WipeId } from '../schema/install-plan.ts';
import { InstallPreview, SealedRecoveryKey } from '../schema/install-preview.ts';
import { Instance } from '../schema/records.ts';
import { none } from './common.ts';
import type { Route } from './route.ts';

const instanceParams = z.strictObject({ id: InstanceId });

/** What the order says in the place of the plan's own. */
const DiskSerial = z.string().min(1).max(256);

export const orderInstall = {
  method: 'POST',
  path: '/v1/instances/{id}/install',
  caller: 'operator',
  summary: 'Order an installation of an instance from its next boot from a medium or the network',
  params: instanceParams,
  query: none,
  body: z
    .strictObject({
      wipeId: WipeId.nullable().default(null),
      diskSerial: DiskSerial.nullable().default(null),
      /** Also while one is under way: what it wrote counts as foreign from then on. */
      force: z.boolean().default(false),
    })
    .default({ wipeId: null, diskSerial: null, force: false }),
  reply: Instance,
} as const satisfies Route;

export const previewInstall = {
  method: 'GET',
  path: '/v1/instances/{id}/install',
  caller: 'viewer',
  summary: 'Show which disk an installation would mean, by what the machine last told',
  params: instanceParams,
  query: z.strictObject({ wipeId: WipeId.optional(), diskSerial: DiskSerial.optional() }),
  body: none,
  reply: InstallPreview,
} as const satisfies Route;

export const listRecoveryKeys = {
  method: 'GET',
  path: '/v1/instances/{id}/recovery-keys',
  caller: 'operator',
  summary: 'List the recovery keys of the disks of an instance, sealed to the operator',
  params: instanceParams,
  query: none,
  body: none,
  /** The newest first. */
  reply: z.object({ items: z.array(SealedRecoveryKey) }),
} as const satisfies Route;
