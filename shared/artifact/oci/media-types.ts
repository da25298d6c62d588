// Media types of OCI artifacts, and of the Docker forms that registries still hold. Names only.

export const MEDIA = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  empty: 'application/vnd.oci.empty.v1+json',
  layerTar: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerManifestList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
} as const;

/** What a client says it can read (distribution-spec v1.1, "Pulling manifests"). */
export const MANIFEST_ACCEPT = [
  MEDIA.manifest,
  MEDIA.index,
  MEDIA.dockerManifest,
  MEDIA.dockerManifestList,
].join(', ');

export type LayerCompression = 'none' | 'gzip' | 'zstd';

const COMPRESSION: Readonly<Record<string, LayerCompression>> = {
  [MEDIA.layerTar]: 'none',
  [MEDIA.layerGzip]: 'gzip',
  [MEDIA.layerZstd]: 'zstd',
  [MEDIA.dockerLayer]: 'gzip',
};

/** How a layer is packed, or null for a media type that is no layer of files. */
export const compressionOf = (mediaType: string): LayerCompression | null =>
  COMPRESSION[mediaType] ?? null;
