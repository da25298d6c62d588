// A boot image as an OCI artifact: kernel, initramfs, and what a disk boots (UKI and loader) as layers;
// what it is called stands in the annotations. Builds and reads the manifest; fetches nothing.

import { type Digest, sha256 } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { BootImageInfo } from '../../schema/boot-image-info.ts';
import { BootImage } from '../../schema/desired.ts';
import type { ModuleName } from '../../schema/module.ts';
import { MEDIA } from '../oci/media-types.ts';
import { type Descriptor, type ImageManifest, parseImageManifest } from '../oci/schema.ts';
import type { ManifestContent } from '../oci/source.ts';

const BOOT_ARTIFACT_TYPE = 'application/vnd.billet.boot.v1';
export const BOOT_MEDIA = {
  kernel: 'application/vnd.billet.kernel',
  initramfs: 'application/vnd.billet.initramfs',
  uki: 'application/vnd.billet.uki',
  loader: 'application/vnd.billet.loader',
} as const;
type BootFile = keyof typeof BOOT_MEDIA;

const KERNEL_RELEASE = 'dev.billet.kernel-release';
const COMMAND_LINE = 'dev.billet.command-line';
const NAME = 'dev.billet.boot.name';
const SEQUENCE = 'dev.billet.boot.sequence';
/** image-spec, annotations.md. */
const VERSION = 'org.opencontainers.image.version';

/** image-spec, manifest.md, "Guidance for an Empty Descriptor". */
export const EMPTY_JSON = Buffer.from('{}');
export const EMPTY_DESCRIPTOR: Descriptor = {
  mediaType: MEDIA.empty,
  digest: sha256(EMPTY_JSON),
  size: EMPTY_JSON.length,
};

/** What rules of a trust policy and floors go by. */
export interface BootRelease {
  readonly name: ModuleName;
  readonly sequence: number;
  readonly version: string;
}

export interface BootContent {
  readonly kernel: Descriptor;
  readonly initramfs: Descriptor;
  /** Null: it was built for network boot only. */
  readonly uki: Descriptor | null;
  readonly loader: Descriptor | null;
  readonly kernelRelease: string;
  readonly commandLine: string;
  /** Null: it was pushed without, by an older Billet or from files of another origin. */
  readonly release: BootRelease | null;
}

/** The manifest's bytes: the same for the same content, so that a push can be repeated. */
export function bootManifest(content: BootContent): Buffer {
  const { kernel, initramfs, uki, loader, kernelRelease, commandLine, release } = content;
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    artifactType: BOOT_ARTIFACT_TYPE,
    config: EMPTY_DESCRIPTOR,
    layers: [kernel, initramfs, uki, loader].filter((layer) => layer !== null),
    annotations: {
      [KERNEL_RELEASE]: kernelRelease,
      ...(commandLine === '' ? {} : { [COMMAND_LINE]: commandLine }),
      ...(release === null
        ? {}
        : {
            [NAME]: release.name,
            [SEQUENCE]: String(release.sequence),
            [VERSION]: release.version,
          }),
    },
  };
  return Buffer.from(JSON.stringify(manifest));
}

/** Throws OCI_INVALID when it is something else than a boot image. `what` is for the message. */
export function parseBootManifest(
  { bytes, mediaType }: Pick<ManifestContent, 'bytes' | 'mediaType'>,
  what: string,
): BootContent {
  const manifest = parseImageManifest(bytes, mediaType, what);
  if (manifest.artifactType !== BOOT_ARTIFACT_TYPE) throw invalid(what);
  const { annotations = {} } = manifest;
  const { kernelRelease, commandLine } = BootImage.shape;
  const release = kernelRelease.safeParse(annotations[KERNEL_RELEASE]);
  const words = commandLine.safeParse(annotations[COMMAND_LINE] ?? '');
  if (!release.success || !words.success)
    throw invalid(what, `its ${release.success ? COMMAND_LINE : KERNEL_RELEASE} is none`);
  return {
    kernel: required(layerOf(manifest, 'kernel', what), 'kernel', what),
    initramfs: required(layerOf(manifest, 'initramfs', what), 'initramfs', what),
    uki: layerOf(manifest, 'uki', what),
    loader: layerOf(manifest, 'loader', what),
    kernelRelease: release.data,
    commandLine: words.data,
    release: releaseOf(annotations, what),
  };
}

/** As desired state names it. */
export const bootImageOf = (
  content: BootContent,
  repository: string,
  manifest: Digest,
): BootImage => ({
  repository,
  manifest,
  kernel: content.kernel.digest,
  initramfs: content.initramfs.digest,
  uki: content.uki?.digest ?? null,
  loader: content.loader?.digest ?? null,
  kernelRelease: content.kernelRelease,
  commandLine: content.commandLine,
});

function layerOf(manifest: ImageManifest, file: BootFile, what: string): Descriptor | null {
  const found = manifest.layers.filter((layer) => layer.mediaType === BOOT_MEDIA[file]);
  if (found.length > 1) throw invalid(what, `it has ${found.length} layers that are its ${file}`);
  return found[0] ?? null;
}

function required(layer: Descriptor | null, file: BootFile, what: string): Descriptor {
  if (layer === null) throw invalid(what, `it has no ${file}`);
  return layer;
}

function releaseOf(
  annotations: Readonly<Record<string, string>>,
  what: string,
): BootRelease | null {
  const [name, sequence] = [annotations[NAME], annotations[SEQUENCE]];
  if (name === undefined && sequence === undefined) return null;
  const digits = /^(0|[1-9]\d{0,15})$/.test(sequence ?? '') ? Number(sequence) : null;
  const shape = BootImageInfo.shape;
  const parsed = {
    name: shape.name.safeParse(name).data,
    sequence: shape.sequence.safeParse(digits).data,
    version: shape.version.safeParse(annotations[VERSION]).data,
  };
  if (parsed.name !== undefined && parsed.sequence !== undefined && parsed.version !== undefined)
    return { name: parsed.name, sequence: parsed.sequence, version: parsed.version };
  throw invalid(what, `${NAME}, ${SEQUENCE} and ${VERSION} do not say which release it is`);
}

const invalid = (what: string, why?: string): BilletError =>
  new BilletError('OCI_INVALID', `${what} is no boot image${why ? `: ${why}` : ''}`, {
    hint: 'build one with `billet image build`, and push it with `billet image push DIR REPOSITORY:TAG`',
    details: { what },
  });
