// A module from the store, or from its source into the store. Nothing on disk is believed: the
// signatures are verified and the digests computed each time.

import { composeImage } from '#shared/artifact/composefs/image.ts';
import { objectsOf, type Tree } from '#shared/artifact/composefs/tree.ts';
import type { ArtifactSource, ManifestContent } from '#shared/artifact/oci/source.ts';
import { type Verified, verifyManifest } from '#shared/artifact/signature/verify.ts';
import { type Digest, hexOf } from '#shared/digest.ts';
import { BilletError, type Code } from '#shared/errors.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import type { Images } from './images.ts';
import type { ModuleFiles } from './module-file.ts';
import { pullTree } from './pull.ts';
import { recordedSource, recordingSource } from './recorded-source.ts';
import type { EnsureOptions, HeldModule, StoredModule, Trust } from './store.ts';
import type { ObjectThreads } from './threads.ts';

export interface LoadDeps {
  readonly threads: ObjectThreads;
  readonly images: Images;
  readonly modules: ModuleFiles;
  /** Makes everything written so far durable. */
  readonly flush: () => void;
}

/** See Store.loadModule. */
export async function loadModule(
  deps: LoadDeps,
  ref: ModuleRef,
  trust: Trust,
): Promise<StoredModule | null> {
  const verified = await verifiedAgain(deps, ref, trust);
  if (verified === null) return null;
  const tree = await wholeTree(deps, verified.image);
  return tree === null ? null : storedModule(ref, verified, tree, 0);
}

/** See Store.holdsModule. */
export async function holdsModule(
  deps: LoadDeps,
  ref: ModuleRef,
  trust: Trust,
  { running }: { readonly running: boolean },
): Promise<HeldModule | null> {
  const verified = await verifiedAgain(deps, ref, trust);
  if (verified === null) return null;
  const image = hexOf(verified.image);
  const here = running || (await deps.threads.ask(0, { kind: 'check-image', image }));
  return here ? { ref, ...verified } : null;
}

/** From what is stored beside the module; null when that does not satisfy the policy any more. */
async function verifiedAgain(
  deps: LoadDeps,
  ref: ModuleRef,
  trust: Trust,
): Promise<Verified | null> {
  const file = await deps.modules.load(ref.manifest);
  if (file === null) return null;
  const content = {
    bytes: Buffer.from(file.manifest, 'base64'),
    digest: ref.manifest,
    mediaType: file.mediaType,
  };
  const source = recordedSource('the store', file.recording);
  return await orNull(STALE, () => verify(source, content, ref, trust));
}

/** See Store.ensureModule. */
export async function ensureModule(
  deps: LoadDeps,
  ref: ModuleRef,
  options: EnsureOptions,
): Promise<StoredModule> {
  const held = await loadModule(deps, ref, options);
  if (held !== null) return held;

  const recorder = recordingSource(options.source);
  const content = await recorder.source.manifest(ref.manifest);
  const verified = await verify(recorder.source, content, ref, options);
  // The files may be here already: from another manifest, or when only the signatures were stale.
  const present = await wholeTree(deps, verified.image);
  const tree = present ?? (await pull(deps, verified, options));
  deps.flush();
  await deps.modules.save(content, verified.image, recorder.recording());
  const bytes = verified.layers.reduce((sum, { size }) => sum + size, 0);
  return storedModule(ref, verified, tree, present === null ? bytes : 0);
}

/** Manifest, name, signature, version; and that desired state and label mean the same image. */
async function verify(
  source: ArtifactSource,
  manifest: ManifestContent,
  ref: ModuleRef,
  { policy, floor, exempt }: Trust,
): Promise<Verified> {
  const verified = await verifyManifest({
    source,
    manifest,
    policy,
    expectedName: ref.name,
    floor,
    exempt,
  });
  if (verified.image !== ref.image)
    throw imageMismatch(ref, 'the signed label', verified.image, ref.image);
  if (verified.label.kind !== ref.kind)
    throw new BilletError(
      'MODULE_INVALID',
      `${ref.name} is a ${verified.label.kind} module, wanted as ${ref.kind}`,
      { hint: 'name it again: `billet module inspect` shows its kind' },
    );
  return verified;
}

async function pull(deps: LoadDeps, verified: Verified, options: EnsureOptions): Promise<Tree> {
  const { source, signal, onProgress } = options;
  const { layers } = verified;
  const tree = await pullTree({ source, layers, threads: deps.threads, signal, onProgress });
  const image = composeImage(tree);
  if (image.digest !== verified.image)
    throw imageMismatch(verified.label, 'the unpacked layers', image.digest, verified.image);
  // Objects first: an image never refers to what a crash could take away.
  deps.flush();
  await deps.images.write(image);
  return tree;
}

/** The tree of an image if the image and every object it refers to are here and right; else null. */
async function wholeTree({ images, threads }: LoadDeps, image: Digest): Promise<Tree | null> {
  const tree = await images.read(image);
  if (tree === null) return null;
  const objects = [...objectsOf(tree).keys()];
  const share = Math.ceil(objects.length / threads.count);
  const checks = Array.from({ length: threads.count }, (_, thread) =>
    threads.ask(thread, {
      kind: 'check',
      objects: objects.slice(thread * share, (thread + 1) * share),
    }),
  );
  const bad = (await Promise.all(checks)).flat();
  return bad.length === 0 ? tree : null;
}

function storedModule(
  ref: ModuleRef,
  { label, image, findings }: Verified,
  tree: Tree,
  pulledBytes: number,
): StoredModule {
  return { ref, label, tree, image, findings, pulledBytes };
}

function imageMismatch(
  { name, version }: Pick<ModuleRef, 'name' | 'version'>,
  what: string,
  actual: Digest,
  expected: Digest,
): BilletError {
  return new BilletError(
    'DIGEST_MISMATCH',
    `${name} ${version}: ${what} has the image ${actual}, expected ${expected}`,
    {
      hint: `seal ${name} again with \`billet module seal\`, sign and push it, and name the new digests`,
      details: { name, actual, expected },
    },
  );
}

/** Errors that mean "what is stored will not do": asking the source again may help. */
const STALE: ReadonlySet<Code> = new Set<Code>([
  'DIGEST_MISMATCH',
  'NOT_FOUND',
  'OCI_INVALID',
  'SIGNATURE_INVALID',
  'SIGNATURE_MISSING',
]);

async function orNull<T>(codes: ReadonlySet<Code>, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BilletError && codes.has(error.code)) return null;
    throw error;
  }
}
