// Requests of a boot with the node's certificate. Asks when it is told to; retries nothing.

import type { Clock } from '#shared/clock.ts';
import { reportInstall } from '#shared/routes/node.ts';
import type { Enrolled } from '../identity/ensure-enrolled.ts';
import { fetchDesired } from '../link/desired.ts';
import { moduleSource } from '../link/module-source.ts';
import { openSession } from '../link/session.ts';
import type { Uplink } from './ports.ts';

export interface UplinkDeps {
  readonly stateDir: string;
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
}

/** Opens no connection yet. */
export function openUplink({ credentials, key }: Enrolled, deps: UplinkDeps): Uplink {
  const { identity, ca, certificate } = credentials;
  const client = { certificate, key: key.pem };
  const session = openSession({ coordinator: identity.coordinator, ca, client });
  return {
    fetchDesired: async (signal) => {
      const document = await fetchDesired(session.client, null, signal);
      if (document !== null) return document;
      throw new TypeError('304 without If-None-Match');
    },
    reportInstall: async (report, signal) => {
      await session.client.call(reportInstall, { body: report, signal });
    },
    sourceFor: moduleSource({ session: () => session, ...deps }),
    close: () => session.close(),
  };
}
