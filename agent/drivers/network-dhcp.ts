// Addresses that the network gives: DHCP and DHCPv6 by busybox, IPv6 by the kernel from router
// advertisements (RFC 4862). What a server says is set on the link here.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { type Lease, parseLease } from '../boot/network/lease.ts';
import type { LinkMethod, LinkPlan } from '../boot/network/plan.ts';
import { textOrNull } from '../identity/source-file.ts';
import { gatewayOf, inet6, setAddress, setGateway } from './network-addresses.ts';
import { down, type NetworkDeps, succeed, within } from './network-tools.ts';

const LEASE_SCRIPT = '/usr/share/udhcpc/default.script';
export const LEASES = 'run/udhcpc';
/** Of the kernel's three solicitations, 4 s apart (RFC 4861 §10), the first two. */
const ADVERTISEMENT_MS = 9000;
/** For DHCP, once there is an address of the other family. */
const LATER_MS = 3000;
const NOTHING: Lease = {
  address: null,
  router: null,
  dns: [],
  domain: null,
  ntp: [],
  seconds: null,
};

/** Resolves with what servers gave beside the address. Throws LINK_DOWN when none answers. */
export async function acquire(
  deps: NetworkDeps,
  link: string,
  method: LinkMethod,
  plan: LinkPlan,
  signal: AbortSignal,
): Promise<Lease> {
  switch (method) {
    case 'dhcp':
      return await dhcp(deps, link, plan, signal);
    case 'dhcp6':
      return await dhcp6(deps, link, [], signal);
    case 'auto6':
      return await advertised(deps, link, signal);
    case 'either6':
      try {
        return await advertised(deps, link, signal);
      } catch (error) {
        signal.throwIfAborted();
        deps.warn(error instanceof BilletError ? error : down(String(error)));
        return await dhcp6(deps, link, [], signal);
      }
    case 'auto':
      return await whatThereIs(deps, link, plan, signal);
  }
}

/** DHCP, or an address by advertisement where DHCP has said nothing a while after it. */
async function whatThereIs(
  deps: NetworkDeps,
  link: string,
  plan: LinkPlan,
  signal: AbortSignal,
): Promise<Lease> {
  const rest = new AbortController();
  const both = AbortSignal.any([signal, rest.signal]);
  const late = async () => {
    const lease = await advertised(deps, link, both);
    await deps.clock.sleep(LATER_MS, both);
    return lease;
  };
  const attempts = [dhcp(deps, link, plan, both), late()];
  try {
    return await Promise.any(attempts);
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    rest.abort();
    await Promise.allSettled(attempts);
  }
}

async function dhcp(
  deps: NetworkDeps,
  link: string,
  { hostname, metric }: LinkPlan,
  signal: AbortSignal,
): Promise<Lease> {
  const once = ['-f', '-n', '-q', '-t', '8', '-T', '1', '-A', '1', '-O', 'ntpsrv'];
  const named = hostname === null ? [] : ['-x', `hostname:${hostname}`];
  const lease = await ask(deps, 'udhcpc', link, [...once, ...named], signal);
  const { address, router } = lease;
  if (address === null) throw down(`udhcpc on ${link}: a lease without an address`);
  await setAddress(deps, link, address, signal);
  if (router !== null) await setGateway(deps, link, gatewayOf(router, address), metric, signal);
  return lease;
}

/**
 * Asks for the lease that the link has once more (RFC 2131 §4.4.5). The seconds of the new one, null when it
 * does not run out. Throws LINK_DOWN when nobody answers, or the server has given the address away.
 */
export async function renew(
  deps: NetworkDeps,
  link: string,
  address: string,
  signal: AbortSignal,
): Promise<number | null> {
  const once = ['-f', '-n', '-q', '-t', '3', '-T', '2', '-A', '1', '-r', address];
  const lease = await ask(deps, 'udhcpc', link, once, signal);
  if (lease.address?.address === address) return lease.seconds;
  throw down(`the address ${address} of ${link} is not given again`);
}

/** Routes come by advertisement: DHCPv6 has none (RFC 8415). */
async function dhcp6(
  deps: NetworkDeps,
  link: string,
  more: readonly string[],
  signal: AbortSignal,
): Promise<Lease> {
  const linkLocal = async () =>
    (await inet6(deps)).some(
      (each) => each.interface === link && !each.isGlobal && !each.isTentative,
    );
  await within(deps.clock, LATER_MS, linkLocal, signal);
  const once = ['-f', '-n', '-q', '-t', '4', '-T', '1', '-A', '1', '-O', 'dns'];
  const lease = await ask(deps, 'udhcpc6', link, [...once, ...more], signal);
  if (lease.address !== null) await setAddress(deps, link, lease.address, signal);
  return lease;
}

/** The kernel makes the address; name servers are asked for by stateless DHCPv6 (RFC 8415 §18.2.6). */
async function advertised(deps: NetworkDeps, link: string, signal: AbortSignal): Promise<Lease> {
  const ready = async () =>
    (await inet6(deps)).some(
      (each) =>
        each.interface === link &&
        each.isGlobal &&
        each.isDynamic &&
        !each.isTentative &&
        !each.isDuplicate,
    );
  if (!(await within(deps.clock, ADVERTISEMENT_MS, ready, signal)))
    throw down(`no address by router advertisement on ${link}`);
  try {
    return await dhcp6(deps, link, ['-l'], signal);
  } catch {
    signal.throwIfAborted();
    // Not every network has one, and an address is what counts.
    return NOTHING;
  }
}

async function ask(
  deps: NetworkDeps,
  program: 'udhcpc' | 'udhcpc6',
  link: string,
  words: readonly string[],
  signal: AbortSignal,
): Promise<Lease> {
  const { leaseScript = LEASE_SCRIPT } = deps;
  const path = join(deps.root ?? '/', LEASES, `${link}.${program === 'udhcpc' ? 4 : 6}`);
  await rm(path, { force: true });
  await succeed(deps, [program, '-i', link, ...words, '-s', leaseScript], signal);
  return parseLease((await textOrNull(path)) ?? '');
}
