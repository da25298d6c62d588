// Which keys may sign which modules. A node's policy is part of its boot image; people write it, so
// unknown fields are errors. What the policy decides is in artifact/signature/policy.ts.

import { z } from 'zod';

/** A module name, `*`, or a name that ends in `*` or `-*`. */
const ModulePattern = z
  .string()
  .regex(
    /^(?:[a-z][a-z0-9-]{0,62}|[a-z][a-z0-9-]{0,61}\*|\*)$/,
    'a module name, or its start and *',
  );

const Pem = z
  .string()
  .max(2048)
  .regex(
    /^\s*-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----\s*$/,
    'a public key in PEM (SPKI): P-256 or Ed25519',
  );

/** Who may sign. An object, so that identities of certificates can stand beside keys later. */
const TrustedKey = z.union([
  Pem.transform((pem) => ({ pem })),
  z.strictObject({ pem: Pem, comment: z.string().max(256).optional() }),
]);

export const TrustRule = z.strictObject({
  modules: z.array(ModulePattern).min(1).max(256),
  keys: z.array(TrustedKey).min(1).max(64),
  /** Older releases are refused, whatever ran before. */
  minimumSequence: z.int().nonnegative().optional(),
});
export type TrustRule = z.infer<typeof TrustRule>;

export const TrustPolicy = z.strictObject({
  format: z.literal(1),
  /** audit: failures are reported as conditions; off: signatures are not looked at, and it shows. */
  mode: z.enum(['enforce', 'audit', 'off']).default('enforce'),
  rules: z.array(TrustRule).min(1).max(1024),
});
export type TrustPolicy = z.infer<typeof TrustPolicy>;
