// Signs a boot image in place, in a layout or a registry, as modules are signed. Signs nothing that does
// not say what it is called: no policy could allow it.

import type { Digest } from '../../digest.ts';
import type { ArtifactTarget } from '../oci/source.ts';
import type { SigningKey } from '../signature/keys.ts';
import { signManifest } from '../signature/sign.ts';
import { type BootRelease, parseBootManifest } from './manifest.ts';
import { assertRelease } from './verify.ts';

export interface SignedBoot {
  /** Of the manifest. */
  readonly digest: Digest;
  readonly release: BootRelease;
  readonly keyId: string;
}

/**
 * Signing again adds nothing; signatures of other keys stay. `identity` is what the payload calls the
 * image, for people. Throws OCI_INVALID, BOOT_IMAGE_INVALID.
 */
export async function signBootImage(
  target: ArtifactTarget,
  reference: string,
  key: SigningKey,
  identity: string,
): Promise<SignedBoot> {
  const content = await target.manifest(reference);
  const boot = parseBootManifest(content, `${target.name}:${reference}`);
  const release = assertRelease(boot);
  await signManifest(target, content, { key, identity });
  return { digest: content.digest, release, keyId: key.public.id };
}
