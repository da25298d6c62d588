// Backups of the coordinator's state, and what follows when one was restored.

import { z } from 'zod';
import { InstanceId } from '../schema/ids.ts';
import { Instance } from '../schema/records.ts';
import { empty, none } from './common.ts';
import type { Route } from './route.ts';

/**
 * The file holds the CA's key, which no credential opens over the network: whoever asks shows that he
 * could read it anyway, with the content of `local.secret` in the state directory (root, mode 0600).
 */
export const takeBackup = {
  method: 'POST',
  path: '/v1/backup',
  caller: 'admin',
  summary: 'Take a backup of the running coordinator; only on its own machine',
  params: none,
  query: none,
  body: z.strictObject({
    local: z.string().max(128),
    withRegistry: z.boolean().default(false),
    /** Encrypts the file; null leaves it as it is. */
    passphrase: z.string().min(8).max(1024).nullable().default(null),
  }),
  reply: z.string(),
  form: 'bytes',
} as const satisfies Route;

export const acceptInstance = {
  method: 'POST',
  path: '/v1/instances/{id}/accept',
  caller: 'operator',
  summary: 'Let an instance that is ahead of a restored backup go to what the coordinator has',
  params: z.strictObject({ id: InstanceId }),
  query: none,
  body: empty,
  reply: Instance,
} as const satisfies Route;
