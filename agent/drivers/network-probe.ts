// Whether a router is there: asked once after its address was set, so that a wrong VLAN or gateway is said
// where it happens, and not as a coordinator that does not answer. Stops nothing.

import type { Gateway } from '../boot/network/plan.ts';
import { down, type NetworkDeps } from './network-tools.ts';

/** Warns with LINK_DOWN when nobody answers for the address (ARP, RFC 826; NDP, RFC 4861), within about 3 s. */
export async function probeGateway(
  deps: NetworkDeps,
  link: string,
  { address, family }: Gateway,
  signal: AbortSignal,
): Promise<void> {
  // An answer to the ping does not matter: to send it the kernel asks who has the address.
  const ping = family === 4 ? 'ping' : 'ping6';
  await deps.exec([ping, '-c', '3', '-W', '1', '-q', '-I', link, address], signal);
  const neighbours = await deps.exec(['ip', `-${family}`, 'neigh', 'show', 'dev', link], signal);
  const line = neighbours.stdout.split('\n').find((each) => each.split(/\s/)[0] === address);
  if (line?.includes('lladdr') === true) return;
  deps.warn(
    down(
      `the router ${address} does not answer on ${link}`,
      'check the address of the router, the VLAN and the switch port; it is gone on with',
    ),
  );
}
