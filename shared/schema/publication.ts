// A disk image publication: kernel, initramfs and root of a platform, by digest. Its content never
// changes; its status does.

import { z } from 'zod';
import { Digest } from '../digest.ts';
import { BootImage } from './desired.ts';
import { ResourceName, Timestamp } from './ids.ts';
import { Description, resourceOf } from './resource.ts';

/** A root file system image, for what boots from a disk: one layer of an OCI artifact. */
const RootImage = z.strictObject({
  repository: z.string().min(1).max(512),
  /** Of the artifact. */
  manifest: Digest,
  /** Of the image's bytes. */
  image: Digest,
  sizeBytes: z.int().positive(),
});
export type RootImage = z.infer<typeof RootImage>;

/**
 * draft: known, given to nobody. published: the newest of a platform is what its nodes boot.
 * retired: given to nobody any more.
 */
export const PublicationStatus = z.enum(['draft', 'published', 'retired']);
export type PublicationStatus = z.infer<typeof PublicationStatus>;

export const PublicationSpec = z.strictObject({
  description: Description,
  platform: ResourceName,
  boot: BootImage.strict(),
  /** Null for a platform whose root is composed of modules. */
  root: RootImage.nullable().default(null),
  status: PublicationStatus.default('draft'),
});
export type PublicationSpec = z.infer<typeof PublicationSpec>;

export const Publication = resourceOf(PublicationSpec).extend({
  /** SHA-256 over the digests of all its parts: the same content, the same digest. */
  digest: Digest,
  publishedAt: Timestamp.nullable(),
  /** Whether it is what its platform's nodes boot with now. */
  current: z.boolean(),
});
export type Publication = z.infer<typeof Publication>;
