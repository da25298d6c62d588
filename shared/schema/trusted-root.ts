// sigstore's trusted root, media type …trustedroot+json;version=0.1: certificate authorities and logs
// that signatures without keys rest on. Tools write it, so unknown fields are kept and ignored. The
// shape only; certificates and keys are read in artifact/signature/trusted-root.ts.

import { z } from 'zod';

const Base64 = z.base64().max(16_384);
/** RFC 3339; an open end is left out. */
const Validity = z.looseObject({
  start: z.iso.datetime({ offset: true }).optional(),
  end: z.iso.datetime({ offset: true }).optional(),
});

/** sigstore_trustroot.proto, TransparencyLogInstance: Rekor or a certificate transparency log. */
const Log = z.looseObject({
  baseUrl: z.string().max(1024).default(''),
  publicKey: z.looseObject({
    rawBytes: Base64,
    keyDetails: z.string().max(64),
    validFor: Validity.optional(),
  }),
  logId: z.looseObject({ keyId: Base64 }),
  checkpointKeyId: z.looseObject({ keyId: Base64 }).optional(),
});
export type TrustedLog = z.infer<typeof Log>;

/** sigstore_trustroot.proto, CertificateAuthority: the issuing certificate first, the root last. */
const Authority = z.looseObject({
  certChain: z.looseObject({
    certificates: z
      .array(z.looseObject({ rawBytes: Base64 }))
      .min(1)
      .max(8),
  }),
  validFor: Validity.optional(),
});
export type TrustedAuthority = z.infer<typeof Authority>;

export const TrustedRoot = z.looseObject({
  mediaType: z
    .string()
    .regex(
      /^application\/vnd\.dev\.sigstore\.trustedroot(?:\+json;version=0\.[12]|\.v0\.[12]\+json)$/,
      'a sigstore trusted root of version 0.1 or 0.2',
    ),
  tlogs: z.array(Log).max(16).default([]),
  certificateAuthorities: z.array(Authority).max(16).default([]),
  ctlogs: z.array(Log).max(16).default([]),
  timestampAuthorities: z.array(Authority).max(16).default([]),
});
export type TrustedRoot = z.infer<typeof TrustedRoot>;
