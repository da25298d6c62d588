// Whose signatures make a Nix store path usable on a node: part of the trust policy, and so of the boot
// image or of the machine's own files. A coordinator cannot add to it.

import { z } from 'zod';

/** As `nix-store --generate-binary-cache-key` writes it: a name, a colon, an Ed25519 key in base64. */
const PublicKey = z
  .string()
  .regex(
    /^[A-Za-z0-9._-]{1,128}:[A-Za-z0-9+/]{43}=$/,
    'a public key of a binary cache, as in trusted-public-keys of nix.conf(5)',
  );

export const NixKey = z.union([
  PublicKey.transform((key) => ({ key, systems: true })),
  z.strictObject({
    key: PublicKey,
    /**
     * Whether a path that it signed may be a system. False for caches that sign whatever they build
     * (cache.nixos.org): their paths may be part of a system that somebody else vouches for.
     */
    systems: z.boolean().default(true),
    comment: z.string().max(256).optional(),
  }),
]);
export type NixKey = z.infer<typeof NixKey>;
