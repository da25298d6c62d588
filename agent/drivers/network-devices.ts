// Makes the devices of a network plan: names of cards, bonds by sysfs (Documentation/networking/bonding.rst),
// VLANs. What is there already stays, so that another attempt is fine.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import type { NetworkPlan } from '../boot/network/plan.ts';
import type { BondWord, NameWord, VlanWord } from '../boot/network/words.ts';
import { namesIn, textOrNull } from '../identity/source-file.ts';
import { type NetworkDeps, succeed, type WiredLink, wiredLinks, within } from './network-tools.ts';

/** For cards whose driver takes its time. */
const DEVICE_MS = 8000;

/**
 * Before anything is changed, every card that the plan names has to be there: BOOT_NETWORK_INVALID says which
 * is not, and which are. LINK_DOWN where the kernel refuses a device.
 */
export async function makeDevices(
  deps: NetworkDeps,
  plan: NetworkPlan,
  signal: AbortSignal,
): Promise<void> {
  await allHere(deps, plan, signal);
  for (const name of plan.names) await rename(deps, name, signal);
  if (plan.bonds.length > 0) await load(deps, ['bonding', 'max_bonds=0'], signal);
  for (const bond of plan.bonds) await makeBond(deps, bond, signal);
  if (plan.vlans.length > 0) await load(deps, ['8021q'], signal);
  for (const vlan of plan.vlans) await makeVlan(deps, vlan, signal);
}

/** A kernel that has it built in, or none of it, says so at the next step. */
const load = ({ exec }: NetworkDeps, words: readonly string[], signal: AbortSignal) =>
  exec(['modprobe', '-q', ...words], signal);

async function allHere(deps: NetworkDeps, plan: NetworkPlan, signal: AbortSignal): Promise<void> {
  const { names, devices } = plan;
  let links: WiredLink[] = [];
  const missing = () => [
    ...names.flatMap(({ name, mac }) =>
      links.some((link) => link.mac === mac) ? [] : [`ifname=${name}:${mac}`],
    ),
    ...devices.filter(
      (name) =>
        !links.some((link) => link.name === name) && !names.some((each) => each.name === name),
    ),
  ];
  const here = async () => {
    links = await wiredLinks(deps);
    return missing().length === 0;
  };
  if (await within(deps.clock, DEVICE_MS, here, signal)) return;
  const list = links.map(({ name, mac }) => `${name} (${mac})`).join(', ');
  const what = `the kernel command line names ${missing().join(', ')}; this machine has ${list || 'no card'}`;
  throw new BilletError('BOOT_NETWORK_INVALID', what, {
    hint: 'here cards have the names of the kernel: give one a name by its address, ifname=<name>:<MAC>',
  });
}

async function rename(
  deps: NetworkDeps,
  { name, mac }: NameWord,
  signal: AbortSignal,
): Promise<void> {
  const link = (await wiredLinks(deps)).find((each) => each.mac === mac);
  if (link === undefined || link.name === name) return;
  await succeed(deps, ['ip', 'link', 'set', link.name, 'down'], signal);
  await succeed(deps, ['ip', 'link', 'set', link.name, 'name', name], signal);
}

/** Options go before devices, and both before the bond is up: the driver refuses another order. */
async function makeBond(deps: NetworkDeps, bond: BondWord, signal: AbortSignal): Promise<void> {
  const net = join(deps.root ?? '/', 'sys/class/net');
  const own = join(net, bond.name, 'bonding');
  if (!(await namesIn(net)).includes(bond.name)) {
    await put(join(net, 'bonding_masters'), `+${bond.name}`, bond.name);
    const late = ['primary', 'primary_reselect'];
    for (const { name, value } of bond.options.filter((option) => !late.includes(option.name)))
      for (const each of name === 'arp_ip_target'
        ? value.split(';').map((ip) => `+${ip}`)
        : [value])
        await put(join(own, name), each, bond.name);
  }
  const slaves = ((await textOrNull(join(own, 'slaves'))) ?? '').split(/\s+/);
  for (const slave of bond.slaves.filter((each) => !slaves.includes(each))) {
    await succeed(deps, ['ip', 'link', 'set', slave, 'down'], signal);
    await put(join(own, 'slaves'), `+${slave}`, bond.name);
  }
  for (const { name, value } of bond.options.filter((option) => option.name.startsWith('primary')))
    await put(join(own, name), value, bond.name);
  if (bond.mtu !== null)
    await succeed(deps, ['ip', 'link', 'set', bond.name, 'mtu', String(bond.mtu)], signal);
  await succeed(deps, ['ip', 'link', 'set', bond.name, 'up'], signal);
}

async function put(path: string, value: string, bond: string): Promise<void> {
  try {
    await writeFile(path, value, { flag: 'r+' });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BilletError('LINK_DOWN', `${bond}: the kernel refuses ${value}: ${why}`, {
      hint: 'mend the options of bond= on the kernel command line; the kernel log has its reason',
      cause,
    });
  }
}

async function makeVlan(
  deps: NetworkDeps,
  { name, id, parent }: VlanWord,
  signal: AbortSignal,
): Promise<void> {
  await succeed(deps, ['ip', 'link', 'set', parent, 'up'], signal);
  if ((await namesIn(join(deps.root ?? '/', 'sys/class/net'))).includes(name)) return;
  const over = ['link', 'add', 'link', parent, 'name', name];
  await succeed(deps, ['ip', ...over, 'type', 'vlan', 'id', String(id)], signal);
}
