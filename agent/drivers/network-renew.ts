// Keeps leases while a machine waits in the initramfs: for a person to claim it, for a coordinator. Nobody else
// does there, and a server gives away what is not asked for again (RFC 2131 §4.4.5).

import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseLease } from '../boot/network/lease.ts';
import { namesIn, textOrNull } from '../identity/source-file.ts';
import { LEASES, renew } from './network-dhcp.ts';
import { down, type NetworkDeps } from './network-tools.ts';

export interface RenewDeps extends NetworkDeps {
  /** Rejects when the signal aborts. Holds no process open: a boot that is done is done. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const pauseUnheld = (ms: number, signal: AbortSignal) =>
  setTimeout(ms, undefined, { ref: false, signal });

/** So often is it tried in what is left of a lease. */
const TRIES = 4;
/** Longer than a machine waits; a timer holds no more than 2^31 - 1 ms, and goes off at once beyond. */
const PAUSE_MAX_MS = 24 * 3_600_000;

/** For every link that DHCP has given an address, until the signal aborts. Never rejects: it warns. */
export async function keepLeases(deps: RenewDeps, signal: AbortSignal): Promise<void> {
  try {
    const names = await namesIn(join(deps.root ?? '/', LEASES));
    const links = names.flatMap((name) => /^(.+)\.4$/.exec(name)?.[1] ?? []);
    await Promise.all(links.map((link) => keepLease(deps, link, signal)));
  } catch (error) {
    if (!signal.aborted) deps.warn(down(error instanceof Error ? error.message : String(error)));
  }
}

async function keepLease(deps: RenewDeps, link: string, signal: AbortSignal): Promise<void> {
  const { pause = pauseUnheld } = deps;
  const text = await textOrNull(join(deps.root ?? '/', LEASES, `${link}.4`));
  const lease = parseLease(text ?? '');
  const address = lease.address?.address;
  if (address === undefined) return;
  // Half of it, and after a failure half of what is left.
  let left = lease.seconds;
  for (let failed = 0; left !== null && failed < TRIES; ) {
    left = left / 2;
    await pause(Math.min(left * 1000, PAUSE_MAX_MS), signal);
    try {
      left = await renew(deps, link, address, signal);
      failed = 0;
    } catch (error) {
      signal.throwIfAborted();
      failed += 1;
      deps.warn(down(error instanceof Error ? error.message : String(error)));
    }
  }
}
