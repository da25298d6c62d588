// Settings of a node: data, rendered by the agent on tmpfs. No secret values, no free-form files.

import { z } from 'zod';
import { ModuleName } from './module.ts';

const hostname = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);

export const Settings = z.strictObject({
  hostname: hostname.optional(),
  /** A name of the tz database, e.g. Europe/Berlin. */
  timezone: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+){0,2}$/)
    .max(64)
    .optional(),
  dns: z
    .array(z.union([z.ipv4(), z.ipv6()]))
    .max(8)
    .optional(),
  /** Break-glass keys of root, one line of authorized_keys(5) each. */
  sshKeys: z
    .array(
      z
        .string()
        .regex(/^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp256) [A-Za-z0-9+/=]+( [^\n\r]*)?$/)
        .max(8192),
    )
    .max(64)
    .optional(),
  /** Per module; checked against the settings schema that its signed label declares. */
  modules: z.record(ModuleName, z.record(z.string(), z.json())).optional(),
});
export type Settings = z.infer<typeof Settings>;
