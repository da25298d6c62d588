// The certificate that this server shows, kept fresh: made anew before its end, when the clock went
// back before its beginning, and when the CA changed. Holds no connection.

import type { Clock } from '#shared/clock.ts';
import type { Authorities } from './authorities.ts';
import { isStale, issueServerCertificate, type ServerCertificate } from './issuer.ts';

export interface ServerIdentity {
  readonly current: ServerCertificate & { readonly ca: string };
  /** Makes the next one if it is time, or because of `reason`; true if it did. */
  refresh(reason?: 'ca changed'): Promise<boolean>;
}

export async function serverIdentity(options: {
  readonly authority: Authorities;
  readonly names: readonly string[];
  readonly clock: Clock;
}): Promise<ServerIdentity> {
  const { authority, names, clock } = options;
  const make = async () => ({
    ...(await issueServerCertificate(authority, { names, now: clock.now() })),
    ca: authority.bundlePem,
  });
  let current = await make();
  return {
    get current() {
      return current;
    },
    async refresh(reason) {
      if (reason === undefined && !isStale(current, clock.now())) return false;
      current = await make();
      return true;
    },
  };
}
