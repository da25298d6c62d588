// References that people write as texts where records hold digests: modules and boot images. Takes
// them out of a spec, so that its schema can be checked first, and puts what they mean in their place.

import type { Kind } from '#shared/schema/catalog.ts';

export interface Written {
  readonly what: 'module' | 'boot image';
  readonly path: readonly (string | number)[];
  /** REPOSITORY[:TAG|@DIGEST] */
  readonly text: string;
}

type Spec = Record<string, unknown>;

const DIGEST = `sha256:${'0'.repeat(64)}`;

/** What the schema sees instead: valid, and of a name that no other has. */
const standInModule = (index: number) => ({
  name: `stand-in-${index}`,
  kind: 'system',
  version: '0.0.0',
  repository: 'stand-in',
  manifest: DIGEST,
  image: DIGEST,
});

const STAND_IN_IMAGE = {
  repository: 'stand-in',
  manifest: DIGEST,
  kernel: DIGEST,
  initramfs: DIGEST,
  kernelRelease: '0',
};

/** Which field of a kind is a boot image. */
const IMAGES: Partial<Record<Kind, string>> = { publication: 'boot', node: 'bootImage' };

/** The spec with stand-ins for its texts, and those texts. Anything else stays as it is. */
export function takeWritten(
  kind: Kind,
  spec: unknown,
): { readonly spec: unknown; readonly written: readonly Written[] } {
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec))
    return { spec, written: [] };
  const written: Written[] = [];
  const taken: Spec = { ...spec };
  const { modules } = taken;
  if ((kind === 'template' || kind === 'node') && Array.isArray(modules))
    taken.modules = modules.map((module, at) => {
      if (typeof module !== 'string') return module;
      written.push({ what: 'module', path: ['modules', at], text: module });
      return standInModule(at);
    });
  const field = IMAGES[kind];
  const image = field === undefined ? undefined : taken[field];
  if (field !== undefined && typeof image === 'string') {
    written.push({ what: 'boot image', path: [field], text: image });
    taken[field] = STAND_IN_IMAGE;
  }
  return { spec: taken, written };
}

/** The spec with `meaning` where that text stood. */
export function putMeaning(spec: Readonly<Spec>, { path }: Written, meaning: unknown): Spec {
  const [field = '', at] = path;
  if (at === undefined) return { ...spec, [field]: meaning };
  const list = spec[field];
  if (!Array.isArray(list)) return { ...spec };
  return { ...spec, [field]: list.with(Number(at), meaning) };
}
