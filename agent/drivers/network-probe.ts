// Whether a router is there: asked once after its address was set, so that a wrong VLAN or gateway is said
// where it happens, and not as a coordinator that does not answer. Stops nothing.

import { canonical } from '../boot/network/address.ts';
import type { Gateway } from '../boot/network/plan.ts';
import { down, type NetworkDeps } from './network-tools.ts';

const TRIES = 3;

/** Warns with LINK_DOWN when nobody answers for the address (ARP, RFC 826; NDP, RFC 4861), within about 3 s. */
export async function probeGateway(
  deps: NetworkDeps,
  link: string,
  { address, family }: Gateway,
  signal: AbortSignal,
): Promise<void> {
  const ping = family === 4 ? 'ping' : 'ping6';
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    // An answer to the ping does not matter: to send it the kernel asks who has the address.
    await deps.exec([ping, '-c', '1', '-W', '1', '-q', '-I', link, address], signal);
    const { stdout } = await deps.exec(['ip', `-${family}`, 'neigh', 'show', 'dev', link], signal);
    const line = stdout.split('\n').find((each) => each.split(/\s/)[0] === canonical(address));
    if (line?.includes('lladdr') === true) return;
  }
  deps.warn(
    down(
      `the router ${address} does not answer on ${link}`,
      'check the address of the router, the VLAN and the switch port; it is gone on with',
    ),
  );
}
