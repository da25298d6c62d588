// The two labels that make an image a module, read from its config. Reads; never writes.

import { Digest } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { describeFaults } from '../../schema/faults.ts';
import { LABEL_FSVERITY, LABEL_MODULE, ModuleLabel } from '../../schema/module.ts';
import { ImageConfig, type ImageManifest, parseDocument } from '../oci/schema.ts';
import { type ArtifactSource, readBlob } from '../oci/source.ts';

/** The largest image config that is read. */
export const CONFIG_LIMIT_BYTES = 1024 * 1024;

export interface Labels {
  readonly config: ImageConfig;
  readonly label: ModuleLabel;
  /** fs-verity digest of the composefs image. */
  readonly image: Digest;
}

/**
 * Reads and checks the config of a manifest. Throws DIGEST_MISMATCH when it is not the config that
 * the manifest names, OCI_INVALID, and MODULE_INVALID without both labels.
 */
export async function readLabels(source: ArtifactSource, manifest: ImageManifest): Promise<Labels> {
  const bytes = await readBlob(source, manifest.config, CONFIG_LIMIT_BYTES);
  const config = parseDocument(ImageConfig, bytes, 'the image config');
  if (config.rootfs.diff_ids.length !== manifest.layers.length)
    throw moduleInvalid(
      `the config lists ${config.rootfs.diff_ids.length} layers, the manifest ${manifest.layers.length}`,
    );
  const labels = config.config?.Labels ?? {};
  return {
    config,
    label: parseLabel(labels[LABEL_MODULE]),
    image: parseImageDigest(labels[LABEL_FSVERITY]),
  };
}

/** Throws MODULE_INVALID, naming the field, unless `text` is the JSON of a ModuleLabel. */
function parseLabel(text: string | undefined): ModuleLabel {
  if (text === undefined) throw moduleInvalid(`no label ${LABEL_MODULE}`);
  const parsed = ModuleLabel.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw moduleInvalid(`label ${LABEL_MODULE}: ${describeFaults(parsed.error)}`);
}

/** composefs writes bare hex; `sha256:` before it is accepted. Longer digests are other formats. */
function parseImageDigest(text: string | undefined): Digest {
  if (text === undefined) throw moduleInvalid(`no label ${LABEL_FSVERITY}`);
  if (/^(?:sha512:)?[0-9a-f]{128}$/.test(text))
    throw new BilletError(
      'COMPOSEFS_FORMAT',
      'the image is sealed with SHA-512 fs-verity digests',
      {
        hint: 'seal it again with `billet module seal`, which uses SHA-256',
      },
    );
  const parsed = Digest.safeParse(text.startsWith('sha256:') ? text : `sha256:${text}`);
  if (parsed.success) return parsed.data;
  throw moduleInvalid(`label ${LABEL_FSVERITY} is no SHA-256 digest`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw moduleInvalid(`label ${LABEL_MODULE} is not JSON`, cause);
  }
}

function moduleInvalid(why: string, cause?: unknown): BilletError {
  return new BilletError('MODULE_INVALID', `the image is not a sealed module: ${why}`, {
    hint: 'seal it with `billet module seal LAYOUT --module module.json`, then sign it again',
    cause,
  });
}
