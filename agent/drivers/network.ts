// Brings a machine's network up in the initramfs: every wired link, and IPv4 by DHCP on those that
// have a carrier. What comes after switch_root is the system image's business.

import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { namesIn, textOrNull } from '../identity/source-file.ts';
import type { Exec } from './exec.ts';
import { readFileOrNull, writeFileAtomic } from './files.ts';

export interface Address {
  readonly interface: string;
  readonly mac: string;
  /** IPv4 with prefix length. */
  readonly cidr: string;
}

export interface NetworkUp {
  readonly addresses: readonly Address[];
  /** Name servers that DHCP gave. */
  readonly dns: readonly string[];
}

export interface NetworkDeps {
  readonly exec: Exec;
  readonly clock: Clock;
  readonly root?: string;
}

const CARRIER_MS = 8000;
const POLL_MS = 100;
/** For the other links, once one has an address. */
const GRACE_MS = 1500;
const LEASE_SCRIPT = '/usr/share/udhcpc/default.script';

/**
 * Resolves once at least one link has an address. Throws LINK_DOWN, naming the links and what is
 * missing. Links that are up already stay as they are, so that calling it again is fine.
 */
export async function networkUp(deps: NetworkDeps, signal: AbortSignal): Promise<NetworkUp> {
  const { root = '/', clock } = deps;
  const links = await wiredLinks(root);
  if (links.length === 0)
    throw new BilletError('LINK_DOWN', 'this machine has no network interface with a driver', {
      hint: 'look at `lspci` (or the VM definition): the driver may be missing in the boot image',
    });
  if (addresses(links).length === 0) {
    const rest = new AbortController();
    const both = AbortSignal.any([signal, rest.signal]);
    const attempts = links.map((link) => bringUp(deps, link, both));
    try {
      await Promise.any(attempts);
      await Promise.race([Promise.allSettled(attempts), clock.sleep(GRACE_MS, signal)]);
    } catch (error) {
      signal.throwIfAborted();
      throw noLease(links, error);
    } finally {
      rest.abort();
      await Promise.allSettled(attempts);
    }
  }
  const resolvConf = (await readFileOrNull(join(root, 'run/resolv.conf')))?.toString('utf8') ?? '';
  if (resolvConf !== '') await writeFileAtomic(join(root, 'etc/resolv.conf'), resolvConf);
  return { addresses: addresses(links), dns: nameServers(resolvConf) };
}

export const nameServers = (resolvConf: string): string[] =>
  [...resolvConf.matchAll(/^nameserver\s+(\S+)/gm)].map(([, server = '']) => server);

/** With a device behind them: no loopback, bridge or tunnel. No wireless: it has no key here. */
async function wiredLinks(root: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await namesIn(join(root, 'sys/class/net'))) {
    const at = join(root, 'sys/class/net', name);
    const isEthernet = (await textOrNull(join(at, 'type')))?.trim() === '1';
    const below = await namesIn(at);
    if (isEthernet && below.includes('device') && !below.includes('wireless')) found.push(name);
  }
  return found;
}

function addresses(links: readonly string[]): Address[] {
  const all = networkInterfaces();
  return links.flatMap((link) => {
    const address = (all[link] ?? []).find(({ family }) => family === 'IPv4');
    return address?.cidr ? [{ interface: link, mac: address.mac, cidr: address.cidr }] : [];
  });
}

async function bringUp(
  { exec, clock, root = '/' }: NetworkDeps,
  link: string,
  signal: AbortSignal,
): Promise<void> {
  await succeed(exec, ['ip', 'link', 'set', link, 'up'], signal);
  const carrier = join(root, 'sys/class/net', link, 'carrier');
  const until = clock.monotonic() + CARRIER_MS;
  while ((await readFile(carrier, 'utf8').catch(() => '0')).trim() !== '1') {
    if (clock.monotonic() > until) throw down(`${link} has no carrier`);
    await clock.sleep(POLL_MS, signal);
  }
  const once = ['-f', '-n', '-q', '-t', '8', '-T', '1', '-A', '1'];
  await succeed(exec, ['udhcpc', '-i', link, ...once, '-s', LEASE_SCRIPT], signal);
}

async function succeed(
  exec: Exec,
  argv: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<void> {
  const { code, stderr } = await exec(argv, signal);
  if (code !== 0) throw down(`${argv.join(' ')}: ${stderr.trim().split('\n').at(-1) ?? code}`);
}

const HINT = 'check cable, switch port and VLAN, and that a DHCP server answers on that network';

const down = (what: string) => new BilletError('LINK_DOWN', what, { hint: HINT });

function noLease(links: readonly string[], error: unknown): BilletError {
  const reasons = error instanceof AggregateError ? error.errors : [error];
  const texts = reasons.map((each) => (each instanceof Error ? each.message : String(each)));
  return new BilletError('LINK_DOWN', `no address on ${links.join(', ')}: ${texts.join('; ')}`, {
    hint: HINT,
    cause: error,
  });
}
