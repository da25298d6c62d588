// One file for each module in the store: its manifest and what verifying it read. Written last, when
// everything it stands for is durable: a module that has a file is whole.

import { readdir } from 'node:fs/promises';
import { z } from 'zod';
import type { ManifestContent } from '#shared/artifact/oci/source.ts';
import { Digest, digestOfHex, hexOf } from '#shared/digest.ts';
import { jsonOf } from '#shared/json.ts';
import { diskError } from '../drivers/disk-error.ts';
import { readFileOrNull, removeFile, writeFileAtomic } from '../drivers/files.ts';
import type { StorePaths } from './layout.ts';
import { Recording } from './recorded-source.ts';

export const ModuleFile = z.object({
  format: z.literal(1),
  mediaType: z.string(),
  /** Base64 of the manifest's bytes. */
  manifest: z.base64(),
  /** fs-verity digest of its image: what garbage collection follows. Believed for nothing else. */
  image: Digest,
  recording: Recording,
});
export type ModuleFile = z.infer<typeof ModuleFile>;

export interface ModuleFiles {
  /** Null when there is none, or it cannot be read: then the module is pulled again. */
  load(manifest: Digest): Promise<ModuleFile | null>;
  /** Durable when it resolves. Throws STORE_FULL, STORE_FAILED; then there is none. */
  save(manifest: ManifestContent, image: Digest, recording: Recording): Promise<void>;
  remove(manifest: Digest): Promise<void>;
  list(): Promise<readonly Digest[]>;
}

export function moduleFiles(paths: StorePaths): ModuleFiles {
  const pathOf = (manifest: Digest) => `${paths.module(hexOf(manifest))}.json`;
  return {
    async load(manifest) {
      const bytes = await readFileOrNull(pathOf(manifest));
      return bytes === null
        ? null
        : (ModuleFile.safeParse(jsonOf(bytes.toString('utf8'))).data ?? null);
    },
    async save({ bytes, digest, mediaType }, image, recording) {
      const manifest = Buffer.from(bytes).toString('base64');
      const file: ModuleFile = { format: 1, mediaType, manifest, image, recording };
      try {
        await writeFileAtomic(pathOf(digest), JSON.stringify(file));
      } catch (error) {
        throw diskError(error, 'write a module');
      }
    },
    remove: (manifest) => removeFile(pathOf(manifest)),
    async list() {
      const names = (await readdir(paths.modules)).sort();
      return names.flatMap((name) => {
        const hex = /^([0-9a-f]{64})\.json$/.exec(name)?.[1];
        return hex === undefined ? [] : [digestOfHex(hex)];
      });
    },
  };
}
