// What is asked of everything that is signed, modules and boot images alike: a signature of somebody whom
// the policy names, and a release that is not too old. Knows no formats of what was signed.

import type { Digest } from '../../digest.ts';
import { BilletError, type Code } from '../../errors.ts';
import type { TrustPolicy } from '../../schema/trust-policy.ts';
import type { ArtifactSource, ManifestContent } from '../oci/source.ts';
import { type SignedBy, signedBy } from './evidence.ts';
import { trustFor } from './policy.ts';

/** What would have been refused in mode `enforce`: to be reported as a condition. */
export interface Finding {
  readonly code: Code;
  readonly message: string;
  readonly hint: string;
}

/** Of which release it is, as what was signed says. */
export interface Release {
  readonly name: string;
  readonly version: string;
  readonly sequence: number;
}

export interface Floors {
  /** The highest sequence of this name in a generation that turned good. */
  readonly floor?: number | undefined;
  /** Manifests of the last good generation: exempt from `floor`, not from the policy's minimum. */
  readonly exempt?: ReadonlySet<Digest> | undefined;
}

/** Throws SIGNATURE_MISSING, SIGNATURE_INVALID. `command` is what signs such things. */
export async function assertSigned(
  source: ArtifactSource,
  manifest: ManifestContent,
  policy: TrustPolicy,
  name: string,
  command?: string,
): Promise<SignedBy> {
  if (policy.mode === 'off')
    throw new BilletError('SIGNATURE_MISSING', 'signatures are not checked: policy mode is off', {
      hint: 'set mode to "enforce" in the trust policy of the boot image',
    });
  return await signedBy(source, manifest, policy, name, command);
}

/** Throws VERSION_REFUSED. */
export function assertNotOlder(
  policy: TrustPolicy,
  { floor, exempt }: Floors,
  digest: Digest,
  { name, version, sequence }: Release,
): null {
  const minimum = trustFor(policy, name)?.minimumSequence ?? 0;
  const observed = exempt?.has(digest) === true ? 0 : (floor ?? 0);
  const lowest = Math.max(minimum, observed);
  if (sequence >= lowest) return null;
  throw new BilletError(
    'VERSION_REFUSED',
    `${name} ${version} has sequence ${sequence}, at least ${lowest} is required`,
    {
      hint: 'release it again with a higher sequence, or go back to the last good generation',
      details: { name, sequence, minimum, floor: observed },
    },
  );
}

/** In mode enforce errors pass; in the others they become findings. */
export async function tolerate<T>(
  policy: TrustPolicy,
  findings: Finding[],
  check: () => T | Promise<T>,
): Promise<T | null> {
  try {
    return await check();
  } catch (error) {
    const tolerable = error instanceof BilletError && FINDINGS.has(error.code);
    if (policy.mode === 'enforce' || !tolerable) throw error;
    findings.push({ code: error.code, message: error.message, hint: error.hint });
    return null;
  }
}

const FINDINGS: ReadonlySet<Code> = new Set<Code>([
  'SIGNATURE_INVALID',
  'SIGNATURE_MISSING',
  'VERSION_REFUSED',
]);
