// Which keys and identities may sign which modules. A node's policy is part of its boot image; people
// write it, so unknown fields are errors. What the policy decides is in artifact/signature/policy.ts.

import { z } from 'zod';
import { NixKey } from './nix-keys.ts';
import { TrustedRoot } from './trusted-root.ts';

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

const Comment = z.string().max(256).optional();

/** Who may sign with a key of their own. */
const TrustedKey = z.union([
  Pem.transform((pem) => ({ pem })),
  z.strictObject({ pem: Pem, comment: Comment }),
]);

/**
 * Who may sign with a certificate that lives for minutes ("keyless"): what the certificate authority
 * of the trust root wrote into it. Both have to be equal to the certificate's.
 */
const TrustedIdentity = z.strictObject({
  /** Subject alternative name: a URI or an email address. A URI may end in `*` after its host. */
  identity: z
    .string()
    .max(1024)
    .regex(
      /^(?:[^\s*]+|[a-z][a-z0-9+.-]*:\/\/[^\s*/]+\/[^\s*]*\*)$/,
      'an email address or a URI, which may end in * after its host and /',
    ),
  /** The OpenID Connect issuer that knows this identity. */
  issuer: z
    .string()
    .max(1024)
    .regex(/^https?:\/\/[^\s*]+$/, 'the URL of an OpenID Connect issuer'),
  comment: Comment,
});

export const TrustRule = z
  .strictObject({
    modules: z.array(ModulePattern).min(1).max(256),
    keys: z.array(TrustedKey).max(64).default([]),
    identities: z.array(TrustedIdentity).max(64).default([]),
    /** Older releases are refused, whatever ran before. */
    minimumSequence: z.int().nonnegative().optional(),
  })
  .refine(({ keys, identities }) => keys.length + identities.length > 0, {
    message: 'a rule needs a key or an identity',
    path: ['keys'],
  });
export type TrustRule = z.infer<typeof TrustRule>;

export const TrustPolicy = z
  .strictObject({
    format: z.literal(1),
    /** audit: failures are reported as conditions; off: signatures are not looked at, and it shows. */
    mode: z.enum(['enforce', 'audit', 'off']).default('enforce'),
    rules: z.array(TrustRule).min(1).max(1024),
    /** Whose certificates and logs the identities of all rules rest on. */
    trustedRoot: TrustedRoot.optional(),
    /** Who may sign store paths of a NixOS system. Absent: no such system is taken. */
    nixKeys: z.array(NixKey).min(1).max(64).optional(),
  })
  .refine(
    ({ rules, trustedRoot }) =>
      trustedRoot !== undefined || rules.every(({ identities }) => identities.length === 0),
    { message: 'identities need a trusted root', path: ['trustedRoot'] },
  );
export type TrustPolicy = z.infer<typeof TrustPolicy>;
