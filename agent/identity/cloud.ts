// What the strategies of all clouds have in common: only asked where the firmware names the cloud,
// and only once there is a network. Knows no protocol.

import type { CloudMachine } from '#shared/schema/facts.ts';
import { type Provider, runsIn } from './dmi.ts';
import { type MetadataClient, withMetadata } from './metadata-client.ts';
import type { IdentityStrategy, IdentityValues } from './strategy.ts';

export interface CloudOptions {
  readonly root: string;
  /** Base URL of the metadata service. */
  readonly url: string;
  /** Resolves once a metadata service could be reached; not waited for on other machines. */
  readonly network: (signal: AbortSignal) => Promise<void>;
}

export interface CloudProtocol {
  readonly provider: Provider;
  readonly place: string;
  identity(client: MetadataClient): Promise<IdentityValues | null>;
  machine(client: MetadataClient): Promise<CloudMachine | null>;
}

export function cloudStrategy(protocol: CloudProtocol, options: CloudOptions): IdentityStrategy {
  const { provider, place } = protocol;
  const { root, url, network } = options;
  return {
    name: provider,
    place,
    async read(signal) {
      if (!(await runsIn(provider, root))) return null;
      await network(signal);
      return await withMetadata(url, signal, protocol.identity);
    },
    machine: (signal) => withMetadata(url, signal, protocol.machine),
  };
}
