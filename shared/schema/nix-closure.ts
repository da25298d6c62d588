// A NixOS system as the desired state of a node: which store path, where to get it, how to activate it
// and how to tell that it is well. Names no key: whose signatures count is the node's own policy.

import { z } from 'zod';
import { Probe } from './module.ts';

/** Nix's base 32: digits and letters without e, o, t and u (nix manual, "Store Path Specification"). */
const HASH_PART = '[0-9abcdfghijklmnpqrsvwxyz]{32}';
const NAME_PART = '[0-9a-zA-Z+._?=-]';

/** A system as nixpkgs names it: config.system.build.toplevel. */
export const SystemPath = z
  .string()
  .regex(
    new RegExp(`^/nix/store/${HASH_PART}-nixos-system-${NAME_PART}{1,190}$`),
    'the store path of a NixOS system: /nix/store/<hash>-nixos-system-<name>',
  )
  .brand<'SystemPath'>();
export type SystemPath = z.infer<typeof SystemPath>;

/**
 * A binary cache over HTTP. Nix reads settings from the query of such an address (local-nar-cache,
 * secret-key), and passwords do not belong into desired state: neither is let through.
 */
const CacheUrl = z
  .string()
  .max(512)
  .regex(
    /^https?:\/\/[A-Za-z0-9.:[\]-]+(\/[A-Za-z0-9._~/-]*)?$/,
    'the address of a binary cache, http:// or https://, without user, query and fragment',
  );

/** Of the path itself, as `nix path-info --json` says it (Subresource Integrity, SHA-256). */
const NarHash = z.string().regex(/^sha256-[A-Za-z0-9+/]{43}=$/, 'sha256- and base64');

export const NixClosure = z.object({
  storePath: SystemPath,
  /** Tried in this order. None: what the machine holds already. */
  caches: z.array(CacheUrl).max(8).default([]),
  /** For comparison, beside the signature: what its builder saw. */
  narHash: NarHash.nullable().default(null),
  /**
   * switch: now, and at each boot; boot: from the next boot on; test: now, until the next boot. The verbs
   * of switch-to-configuration.
   */
  activation: z.enum(['switch', 'boot', 'test']).default('switch'),
  /** An activation that takes longer is ended, and gone back from. */
  activationTimeoutSeconds: z.int().min(5).max(3600).default(600),
  /** What has to hold once it runs; another generation is gone back to where it does not. */
  healthCheck: z.array(Probe).max(16).default([]),
});
export type NixClosure = z.infer<typeof NixClosure>;
