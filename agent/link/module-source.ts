// Where a module is pulled from: the coordinator's own registry over the node's own connection, or
// another one that its repository names, with what the operator gave the node for it.

import { getCACertificates } from 'node:tls';
import { Agent } from 'undici';
import { parseRegistryReference } from '#shared/artifact/oci/reference.ts';
import { openRegistry } from '#shared/artifact/oci/registry.ts';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import type { Clock } from '#shared/clock.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import { registryAccess } from './registry-access.ts';
import type { Session } from './session.ts';

export interface ModuleSourceDeps {
  readonly session: () => Session;
  /** Passwords and CAs of other registries lie in its folder `registries`. */
  readonly stateDir: string;
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
}

/**
 * Opens no connection yet. Throws ARGUMENT_INVALID for a repository that cannot be one, CONFIG_INVALID
 * for a file of passwords that cannot be used.
 */
export function moduleSource({ session, stateDir, clock, random }: ModuleSourceDeps) {
  const access = registryAccess(stateDir);
  /** Other registries, and where they send us, never see the node's certificate. */
  const foreign = new Agent();
  const byAuthorities = new Map<string, Agent>();

  const dispatcherFor = (host: string): Agent => {
    const authorities = access.authorities(host);
    if (authorities.length === 0) return foreign;
    const key = authorities.join('\n');
    const known = byAuthorities.get(key);
    if (known !== undefined) return known;
    const ca = [...getCACertificates('default'), ...authorities];
    const dispatcher = new Agent({ connect: { ca } });
    byAuthorities.set(key, dispatcher);
    return dispatcher;
  };

  return ({ repository }: Pick<ModuleRef, 'repository'>): ArtifactSource => {
    if (namesHost(repository)) {
      const { host, repository: name } = parseRegistryReference(repository);
      const dispatcher = dispatcherFor(host);
      return openRegistry({
        clock,
        random,
        origin: `https://${host}`,
        repository: name,
        dispatcher,
        // Its token service may have a certificate by the same CA.
        foreignDispatcher: dispatcher,
        credentials: access.credentials(host, name),
      });
    }
    const { coordinator, dispatcher } = session();
    const { origin } = new URL(coordinator);
    return openRegistry({
      clock,
      random,
      origin,
      repository,
      dispatcher,
      foreignDispatcher: foreign,
    });
  };
}

/** As in the names that people give images: a first part with a dot, a port, or localhost. */
const namesHost = (repository: string): boolean =>
  /^(?:[^/]*[.:][^/]*|localhost)\//.test(repository);
