// What the parts of the network driver share: commands that have to succeed, files of sysfs, and waiting
// for what the kernel does in its own time.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { namesIn, textOrNull } from '../identity/source-file.ts';
import type { Exec } from './exec.ts';

export interface NetworkDeps {
  readonly exec: Exec;
  readonly clock: Clock;
  /** Another one in tests. */
  readonly root?: string;
  /** Whether there is a network card behind a link; by sysfs without it. */
  readonly isWired?: (link: string) => boolean;
  /** Of udhcpc and udhcpc6: initramfs/udhcpc.sh. */
  readonly leaseScript?: string;
  /** Something that is wrong and does not stop the boot. */
  readonly warn: (error: BilletError) => void;
}

export interface WiredLink {
  readonly name: string;
  /** That the card was made with: a device of a bond has another one for as long. */
  readonly mac: string;
}

const POLL_MS = 100;

/** Throws LINK_DOWN with what the program said. */
export async function succeed(
  { exec }: Pick<NetworkDeps, 'exec'>,
  argv: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<void> {
  const { code, stderr } = await exec(argv, signal);
  if (code !== 0) throw down(`${argv.join(' ')}: ${stderr.trim().split('\n').at(-1) || code}`);
}

const HINT = 'check cable, switch port and VLAN, and that a DHCP server answers on that network';

export const down = (what: string, hint = HINT) => new BilletError('LINK_DOWN', what, { hint });

/** Whether `test` came true in time. */
export async function within(
  clock: Clock,
  ms: number,
  test: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<boolean> {
  const until = clock.monotonic() + ms;
  while (!(await test())) {
    if (clock.monotonic() > until) return false;
    await clock.sleep(POLL_MS, signal);
  }
  return true;
}

/** Links with a device behind them: no loopback, bridge or tunnel. No wireless: it has no key here. */
export async function wiredLinks({ root = '/', isWired }: NetworkDeps): Promise<WiredLink[]> {
  const found: WiredLink[] = [];
  for (const name of await namesIn(join(root, 'sys/class/net'))) {
    const at = join(root, 'sys/class/net', name);
    const isEthernet = (await textOrNull(join(at, 'type')))?.trim() === '1';
    const below = await namesIn(at);
    const wired = isWired?.(name) ?? (below.includes('device') && !below.includes('wireless'));
    if (!isEthernet || !wired) continue;
    const mac =
      (await textOrNull(join(at, 'bonding_slave/perm_hwaddr'))) ??
      (await textOrNull(join(at, 'address'))) ??
      '';
    found.push({ name, mac: mac.trim() });
  }
  return found;
}

/** Whether the link is up and sees another end. */
export async function hasCarrier({ root = '/' }: NetworkDeps, link: string): Promise<boolean> {
  const path = join(root, 'sys/class/net', link, 'carrier');
  // Reading it of a link that is down is EINVAL.
  return (await readFile(path, 'utf8').catch(() => '0')).trim() === '1';
}
