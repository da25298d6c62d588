// The object store and the registries behind the Modules port: finds the source of a module, keeps
// what was verified in this life of the agent, and asks the store for the rest.

import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { Condition } from '#shared/schema/heartbeat.ts';
import type { ModuleLabel, ModuleRef } from '#shared/schema/module.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import type { HeldModule, Store, StoredModule, Trust } from '../store/store.ts';
import type { Modules } from './ports.ts';

export interface StoreModulesDeps {
  readonly store: Store;
  /** Manifests of the system that runs. */
  readonly booted: ReadonlySet<Digest>;
  readonly policy: TrustPolicy;
  /** The highest sequence of each module that turned good. */
  readonly floors: () => Readonly<Record<string, number>>;
  /** Manifests of the last good generation. */
  readonly exempt: () => ReadonlySet<Digest>;
  readonly sourceOf: (module: ModuleRef, signal: AbortSignal) => ArtifactSource;
  readonly onProgress?: (module: ModuleRef, done: number, total: number) => void;
}

export interface StoreModules extends Modules {
  /** What policy modes other than enforce let pass, and mounts without fs-verity. */
  conditions(): readonly Condition[];
}

/** What stays in memory of a verified module: its tree would be megabytes. */
interface Known {
  readonly label: ModuleLabel;
  readonly image: Digest;
  readonly conditions: readonly Condition[];
}

export function storeModules(deps: StoreModulesDeps): StoreModules {
  const { store } = deps;
  const verified = new Map<Digest, Known>();
  /** Something of these was missing when it was needed: they are looked at again, running or not. */
  const doubted = new Set<Digest>();
  let full = false;
  const mountConditions = new Map<string, readonly Condition[]>();

  const trust = ({ name }: ModuleRef): Trust => ({
    policy: deps.policy,
    floor: deps.floors()[name],
    exempt: deps.exempt(),
  });

  function remember({ ref, label, image, findings }: HeldModule): Known {
    const known: Known = {
      label,
      image,
      conditions: findings.map(({ code, message, hint }) => ({
        code,
        text: `${ref.name}: ${message}`,
        hint,
      })),
    };
    verified.set(ref.manifest, known);
    return known;
  }

  async function known(module: ModuleRef): Promise<Known | null> {
    const found = verified.get(module.manifest);
    if (found !== undefined) return found;
    const running = deps.booted.has(module.manifest) && !doubted.has(module.manifest);
    const held = await store.holdsModule(module, trust(module), { running });
    return held === null ? null : remember(held);
  }

  function doubt({ manifest }: ModuleRef): void {
    verified.delete(manifest);
    doubted.add(manifest);
  }

  function present<T>(found: T | null, module: ModuleRef): T {
    if (found !== null) return found;
    doubt(module);
    throw new BilletError('NOT_FOUND', `module ${module.name} is not in the store any more`, {
      hint: 'the next pass of the agent pulls it again',
      details: { manifest: module.manifest },
    });
  }

  return {
    async held(wanted, signal) {
      const found: Digest[] = [];
      for (const module of wanted) {
        signal.throwIfAborted();
        if ((await known(module)) !== null) found.push(module.manifest);
      }
      return found;
    },

    stored: () => store.modules(),

    async pull(module, signal) {
      try {
        const stored = await store.ensureModule(module, {
          ...trust(module),
          source: deps.sourceOf(module, signal),
          signal,
          onProgress: (done, total) => deps.onProgress?.(module, done, total),
        });
        full = false;
        remember(stored);
        doubted.delete(module.manifest);
      } catch (error) {
        full = error instanceof BilletError && error.code === 'STORE_FULL';
        throw error;
      }
    },

    isFull: () => full,

    label: async (module) => present(await known(module), module).label,

    async mount(module, target) {
      const { image } = present(await known(module), module);
      try {
        const mounted = await store.mountImage(image, target);
        mountConditions.set(target, mounted.conditions);
      } catch (error) {
        if (isDamage(error)) doubt(module);
        throw error;
      }
    },

    async compose({ modules, kernelRelease }) {
      const trees: StoredModule[] = [];
      for (const module of modules)
        trees.push(present(await store.loadModule(module, trust(module)), module));
      return (await store.composeSystem(trees, kernelRelease)).digest;
    },

    async collect(keep) {
      await store.collect(keep);
      full = false;
      for (const manifest of verified.keys())
        if (!keep.modules.includes(manifest)) verified.delete(manifest);
    },

    // Each image that is mounted has what the whole store has: that is said once.
    conditions: () => [
      ...new Set([
        ...store.conditions,
        ...[...mountConditions.values()].flat(),
        ...[...verified.values()].flatMap(({ conditions }) => conditions),
      ]),
    ],
  };
}

const isDamage = (error: unknown): boolean =>
  error instanceof BilletError && (error.code === 'NOT_FOUND' || error.code === 'DIGEST_MISMATCH');
