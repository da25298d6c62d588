// The certificates and keys of a trusted root, as @sigstore/verify takes them. Trusts nobody itself:
// whose identity counts is the policy's business.

import { createPublicKey } from 'node:crypto';
import { type TrustMaterial, toTrustMaterial } from '@sigstore/verify';
import { BilletError } from '../../errors.ts';
import type { TrustedAuthority, TrustedLog, TrustedRoot } from '../../schema/trusted-root.ts';

type Logs = TrustMaterial['tlogs'];
type Authorities = TrustMaterial['certificateAuthorities'];
type ProtoAuthorities = Parameters<typeof toTrustMaterial>[0]['certificateAuthorities'];

const BEGINNING_OF_TIME = 0;
const END_OF_TIME = 8_640_000_000_000_000;

/**
 * Throws POLICY_INVALID for a certificate or key that cannot be read. Logs sign for the time that
 * they are valid at only, and so do certificate authorities.
 */
export function readTrustedRoot(root: TrustedRoot): TrustMaterial {
  try {
    return {
      certificateAuthorities: authorities(root.certificateAuthorities),
      timestampAuthorities: authorities(root.timestampAuthorities),
      tlogs: logs(root.tlogs),
      ctlogs: logs(root.ctlogs),
      publicKey: () => {
        throw new Error('signed by a key, not by a certificate');
      },
    };
  } catch (cause) {
    throw new BilletError('POLICY_INVALID', `the trusted root cannot be read: ${cause}`, {
      hint: 'make one with `cosign trusted-root create`, from the PEM files of your authorities and logs',
      cause,
    });
  }
}

const logs = (from: readonly TrustedLog[]): Logs =>
  from.map(({ baseUrl, publicKey, logId, checkpointKeyId }) => ({
    baseURL: baseUrl,
    logID: Buffer.from((checkpointKeyId ?? logId).keyId, 'base64'),
    publicKey: createPublicKey({
      key: Buffer.from(publicKey.rawBytes, 'base64'),
      format: 'der',
      type: publicKey.keyDetails.startsWith('PKCS1_') ? 'pkcs1' : 'spki',
    }),
    validFor: validity(publicKey.validFor),
  }));

function authorities(from: readonly TrustedAuthority[]): Authorities {
  const proto = from.map(({ certChain, validFor }) => ({
    subject: undefined,
    uri: '',
    operator: '',
    certChain: {
      certificates: certChain.certificates.map(({ rawBytes }) => ({
        rawBytes: Buffer.from(rawBytes, 'base64'),
      })),
    },
    validFor: validity(validFor),
  })) satisfies ProtoAuthorities;
  return toTrustMaterial({
    mediaType: '',
    certificateAuthorities: proto,
    timestampAuthorities: [],
    tlogs: [],
    ctlogs: [],
  }).certificateAuthorities;
}

const validity = (from: TrustedLog['publicKey']['validFor']) => ({
  start: new Date(from?.start ?? BEGINNING_OF_TIME),
  end: new Date(from?.end ?? END_OF_TIME),
});
