// What a machine has to know before it can speak to anyone: found by an identity strategy at boot.

import { z } from 'zod';
import { Digest } from '../digest.ts';
import { InstanceId } from './ids.ts';

/** Plain secrets of a boot: base64url, 32 random bytes. */
export const BootstrapToken = z.string().regex(/^[A-Za-z0-9_-]{43}$/, '43 characters of base64url');

export const Identity = z.strictObject({
  /** Base URL of the coordinator, https only. */
  coordinator: z.url({ protocol: /^https$/ }),
  /** SHA-256 of the DER of the coordinator's CA certificate. */
  ca: Digest,
  instance: InstanceId,
  /** Absent when a surviving key will do. */
  token: BootstrapToken.optional(),
});
export type Identity = z.infer<typeof Identity>;

/**
 * What a source says of a machine. Without an instance nobody has registered it: it asks to be
 * claimed.
 */
export const SourceIdentity = Identity.partial({ instance: true });
export type SourceIdentity = z.infer<typeof SourceIdentity>;

/** Kernel command line words, fw_cfg file names under opt/billet/, SMBIOS OEM string prefixes. */
export const IDENTITY_KEYS = ['coordinator', 'ca', 'instance', 'token'] as const;
