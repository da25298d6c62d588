// Brings a machine's network up in the initramfs as a plan wants it: by default every wired link with what
// its network offers. Which plan it is, agent/boot/boot-network.ts decides.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lease } from '../boot/network/lease.ts';
import { type LinkPlan, linkOfEvery, type NetworkPlan } from '../boot/network/plan.ts';
import { readFileOrNull, writeFileAtomic } from './files.ts';
import { type Address, addressesOf, setStatic } from './network-addresses.ts';
import { makeDevices } from './network-devices.ts';
import { acquire } from './network-dhcp.ts';
import { probeGateway } from './network-probe.ts';
import {
  down,
  hasCarrier,
  type NetworkDeps,
  succeed,
  wiredLinks,
  within,
} from './network-tools.ts';

export interface NetworkUp {
  readonly addresses: readonly Address[];
  /** Name servers: of the plan, then those that DHCP gave. */
  readonly dns: readonly string[];
  /** Time servers, likewise. */
  readonly ntp: readonly string[];
}

/** A link with what is to be done with it. */
type Target = LinkPlan & { readonly interface: string };

const CARRIER_MS = 8000;
/** For the other links, once one is up: of a plan that names them, and without one. */
const GRACE_MS = { named: 8000, every: 1500 } as const;

/**
 * Resolves once at least one link is up. Throws LINK_DOWN, naming the links and what is missing, and
 * BOOT_NETWORK_INVALID for a plan with cards that are not there. A network that it brought up stays as it
 * is, so that calling it again is fine, also for another process.
 */
export async function networkUp(
  deps: NetworkDeps,
  plan: NetworkPlan,
  signal: AbortSignal,
): Promise<NetworkUp> {
  const { root = '/' } = deps;
  await makeDevices(deps, plan, signal);
  const targets = await targetsOf(deps, plan);
  const links = targets.map((target) => target.interface);
  // Written last. An address alone says little: the kernel makes some by itself.
  const isDone = (await readFileOrNull(join(root, RESOLV_CONF))) !== null;
  if (!isDone || (await addressesOf(deps, links)).length === 0)
    await bringUpAll(deps, plan, targets, signal);
  const addresses = await addressesOf(deps, links);
  const resolvConf = (await readFileOrNull(join(root, RESOLV_CONF)))?.toString('utf8') ?? '';
  const timeServers = (await readFileOrNull(join(root, TIME_SERVERS)))?.toString('utf8') ?? '';
  return {
    addresses,
    dns: nameServers(resolvConf),
    ntp: [...new Set([...plan.ntp, ...timeServers.split('\n').filter(Boolean)])],
  };
}

const RESOLV_CONF = 'run/resolv.conf';
const TIME_SERVERS = 'run/udhcpc/time-servers';

export const nameServers = (resolvConf: string): string[] =>
  [...resolvConf.matchAll(/^nameserver\s+(\S+)/gm)].map(([, server = '']) => server);

async function targetsOf(deps: NetworkDeps, plan: NetworkPlan): Promise<Target[]> {
  const wired = (await wiredLinks(deps)).map(({ name }) => name);
  if (wired.length === 0)
    throw down(
      'this machine has no network interface with a driver',
      'look at `lspci` (or the VM definition): the driver may be missing in the boot image',
    );
  const { everyLink } = plan;
  if (everyLink !== null) return wired.map((name) => linkOfEvery(everyLink, plan, name));
  return plan.links.map((link) => {
    const name = link.interface ?? (wired.length === 1 ? wired[0] : undefined);
    if (name === undefined)
      throw down(
        `the kernel command line names no interface for its address, and there are ${wired.join(', ')}`,
        'name one of them in the ip= word',
      );
    return { ...link, interface: name };
  });
}

async function bringUpAll(
  deps: NetworkDeps,
  plan: NetworkPlan,
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<void> {
  const rest = new AbortController();
  const both = AbortSignal.any([signal, rest.signal]);
  const leases: Lease[] = [];
  const attempts = targets.map((target) => bringUp(deps, target, leases, both));
  const graceMs = plan.everyLink === null ? GRACE_MS.named : GRACE_MS.every;
  try {
    await Promise.any(attempts);
    await Promise.race([Promise.allSettled(attempts), deps.clock.sleep(graceMs, both)]);
  } catch (error) {
    signal.throwIfAborted();
    throw nothingUp(targets, error);
  } finally {
    rest.abort();
    const settled = await Promise.allSettled(attempts);
    // One link that is up is enough to go on; the others are not passed over in silence.
    if (settled.some(({ status }) => status === 'fulfilled') && plan.everyLink === null)
      for (const each of settled)
        if (each.status === 'rejected' && !signal.aborted) deps.warn(reasonOf(each.reason));
  }
  await writeServers(deps, plan, leases);
}

async function bringUp(
  deps: NetworkDeps,
  target: Target,
  leases: Lease[],
  signal: AbortSignal,
): Promise<void> {
  const { interface: link, mtu, mac, methods, addresses, gateways } = target;
  const set = ['ip', 'link', 'set', link] as const;
  if (mac !== null) {
    await succeed(deps, [...set, 'down'], signal);
    await succeed(deps, [...set, 'address', mac], signal);
  }
  if (mtu !== null) await succeed(deps, [...set, 'mtu', String(mtu)], signal);
  await succeed(deps, [...set, 'up'], signal);
  if (!(await within(deps.clock, CARRIER_MS, () => hasCarrier(deps, link), signal)))
    throw down(`${link} has no carrier`);
  await setStatic(deps, link, target, signal);
  const asked = await Promise.allSettled(
    methods.map((method) => acquire(deps, link, method, target, signal)),
  );
  signal.throwIfAborted();
  leases.push(...asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])));
  const failed = asked.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  if (failed.length === methods.length && addresses.length === 0) throw failed[0];
  for (const reason of failed) deps.warn(reasonOf(reason));
  await Promise.all(gateways.map((gateway) => probeGateway(deps, link, gateway, signal)));
}

/** resolv.conf(5) for this system, and for those who look in its usual place. */
async function writeServers(
  { root = '/' }: NetworkDeps,
  { nameservers, peerDns }: NetworkPlan,
  leases: readonly Lease[],
): Promise<void> {
  const dns = [...nameservers, ...(peerDns ? leases.flatMap((lease) => lease.dns) : [])];
  const domain = leases.map((lease) => lease.domain).find((each) => each !== null);
  const lines = [
    ...(domain === undefined || !peerDns ? [] : [`search ${domain}`]),
    ...[...new Set(dns)].map((server) => `nameserver ${server}`),
  ];
  const text = lines.map((line) => `${line}\n`).join('');
  await mkdir(join(root, 'run/udhcpc'), { recursive: true });
  const servers = [...new Set(leases.flatMap(({ ntp }) => ntp))];
  await writeFileAtomic(join(root, TIME_SERVERS), servers.map((each) => `${each}\n`).join(''));
  await writeFileAtomic(join(root, RESOLV_CONF), text);
  if (text !== '') await writeFileAtomic(join(root, 'etc/resolv.conf'), text);
}

function reasonOf(reason: unknown) {
  return reason instanceof Error && 'code' in reason && reason.code === 'LINK_DOWN'
    ? down(reason.message, 'hint' in reason ? String(reason.hint) : undefined)
    : down(reason instanceof Error ? reason.message : String(reason));
}

function nothingUp(targets: readonly Target[], error: unknown) {
  const reasons = error instanceof AggregateError ? error.errors : [error];
  const texts = reasons.map((each) => (each instanceof Error ? each.message : String(each)));
  const links = targets.map((target) => target.interface).join(', ');
  return down(`no address on ${links}: ${texts.join('; ')}`);
}
