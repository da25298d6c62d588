// Notes, during a rotation, each certificate of the new CA that a node was seen with: once, and never
// in the way of the request. What is lost in a crash is noted at the node's next request.

import type { Log } from '../log.ts';
import type { Authorities } from './authorities.ts';
import type { Peer } from './peer.ts';
import type { Register } from './register.ts';

export interface Arrivals {
  note(peer: Peer): void;
}

export function arrivals(options: {
  readonly authority: Pick<Authorities, 'fingerprint' | 'previous'>;
  readonly register: Pick<Register, 'seen'>;
  readonly log: Log;
}): Arrivals {
  const { authority, register, log } = options;
  const noted = new Set<string>();
  return {
    note({ instance, serial, ca }) {
      if (authority.previous === null) return noted.clear();
      if (ca !== authority.fingerprint || noted.has(serial)) return;
      noted.add(serial);
      register.seen(instance, serial).catch((error) => {
        noted.delete(serial);
        log.warn('an arrival under the new CA was not noted', { instance, why: String(error) });
      });
    },
  };
}
