// Signs a module in place, in a layout or a registry, in both forms. Signs nothing that is not a
// sealed module.

import type { Digest } from '../../digest.ts';
import type { ModuleLabel } from '../../schema/module.ts';
import { readLabels } from '../module/labels.ts';
import { parseImageManifest } from '../oci/schema.ts';
import type { ArtifactTarget, ManifestContent } from '../oci/source.ts';
import { writeBundle } from './bundle.ts';
import type { SignatureForm } from './evidence.ts';
import type { SigningKey } from './keys.ts';
import { writeSimpleSignature } from './simple-signing.ts';

export interface Signed {
  readonly digest: Digest;
  readonly label: ModuleLabel;
  readonly keyId: string;
  readonly forms: readonly SignatureForm[];
}

export interface Signing {
  readonly key: SigningKey;
  /** What the payload calls the image, for people. */
  readonly identity: string;
  readonly forms?: readonly SignatureForm[];
}

const BOTH: readonly SignatureForm[] = ['simple-signing', 'bundle'];

/** Adds what is missing of `forms` by `key`; signatures of other keys stay. */
export async function signManifest(
  target: ArtifactTarget,
  content: ManifestContent,
  { key, identity, forms = BOTH }: Signing,
): Promise<void> {
  if (forms.includes('simple-signing')) await writeSimpleSignature(target, content, key, identity);
  if (forms.includes('bundle')) await writeBundle(target, content, key);
}

/** As `signManifest`. Throws MODULE_INVALID for an image that is not sealed. */
export async function signModule(
  target: ArtifactTarget,
  reference: string,
  key: SigningKey,
  identity: string,
  forms: readonly SignatureForm[] = BOTH,
): Promise<Signed> {
  const content = await target.manifest(reference);
  const manifest = parseImageManifest(content.bytes, content.mediaType);
  const { label } = await readLabels(target, manifest);
  await signManifest(target, content, { key, identity, forms });
  return { digest: content.digest, label, keyId: key.public.id, forms };
}
