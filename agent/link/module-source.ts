// Where a module is pulled from: the coordinator's own registry over the node's own connection, or
// another one that its repository names.

import { Agent } from 'undici';
import type { Backoff } from '#shared/artifact/oci/backoff.ts';
import { parseRegistryReference } from '#shared/artifact/oci/reference.ts';
import { openRegistry } from '#shared/artifact/oci/registry.ts';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import type { Clock } from '#shared/clock.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import type { Session } from './session.ts';

export interface ModuleSourceDeps {
  readonly session: () => Session;
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
}

/** Longer than a registry takes to start again: what came of a layer is kept in the meantime. */
const PULL_BACKOFF: Backoff = { attempts: 9, baseMs: 250, capMs: 15_000 };

/** Opens no connection yet; `signal` ends all that is asked later. Throws ARGUMENT_INVALID for a repository that cannot be one. */
export function moduleSource({ session, clock, random }: ModuleSourceDeps) {
  // Other registries never see the node's certificate.
  const foreign = new Agent();
  return ({ repository }: Pick<ModuleRef, 'repository'>, signal?: AbortSignal): ArtifactSource => {
    const common = { clock, random, signal, backoff: PULL_BACKOFF, foreignDispatcher: foreign };
    if (namesHost(repository)) {
      const { host, repository: name } = parseRegistryReference(repository);
      return openRegistry({
        ...common,
        origin: `https://${host}`,
        repository: name,
        dispatcher: foreign,
      });
    }
    const { coordinator, dispatcher } = session();
    return openRegistry({ ...common, origin: new URL(coordinator).origin, repository, dispatcher });
  };
}

/** As in the names that people give images: a first part with a dot, a port, or localhost. */
const namesHost = (repository: string): boolean =>
  /^(?:[^/]*[.:][^/]*|localhost)\//.test(repository);
