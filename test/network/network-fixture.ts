// Networks to boot in: two network namespaces with a cable (veth(4)) between them. On one side runs the
// agent's driver over the programs of the boot image, on the other what the test puts there: dnsmasq, plain
// addresses, nothing. Needs root.

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { PlannedNetwork } from '../../agent/boot/boot-network.ts';
import type { SettingsFile } from '../../agent/reconcile/settings-files.ts';
import { buildBootRoot } from '../../initramfs/boot-root.ts';
import { cacheDirOf } from '../../shared/build-cache.ts';
import { systemClock } from '../../shared/clock.ts';

const APPLETS = ['ip', 'ping', 'ping6', 'udhcpc', 'udhcpc6', 'mkdir', 'mv', 'rm', 'sh'];
const LEASE_SCRIPT = 'udhcpc.sh';
let count = 0;

export interface Outcome {
  /** `CODE: message` of what was shown on the way. */
  readonly failures: readonly string[];
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
  readonly up?: PlannedNetwork;
  /** Whether a second call left it as it was. */
  readonly same?: boolean;
  /** As `ip route show` says, of both families. */
  readonly routes?: string;
  readonly files?: readonly SettingsFile[];
}

export interface Cable {
  /** Runs a program on the other side: eth0 is here, srv0 there. */
  there(...argv: readonly [string, ...string[]]): string;
  /** Runs one on the side of the agent. */
  here(...argv: readonly [string, ...string[]]): string;
  /** A server on the other side, until the test ends. */
  serve(argv: readonly [string, ...string[]]): Promise<ChildProcess>;
  /** Brings the network up on this side as the kernel command line says. */
  boot(commandLine: string): Promise<Outcome>;
}

/** A folder with busybox of the boot image under the names of its programs. */
export async function bootPrograms(): Promise<{ readonly dir: string; remove(): Promise<void> }> {
  const { root } = await buildBootRoot({
    cacheDir: cacheDirOf(process.env),
    clock: systemClock,
    signal: AbortSignal.timeout(300_000),
    progress: () => undefined,
  });
  const dir = await mkdtemp(join(tmpdir(), 'billet-net-'));
  await mkdir(join(dir, 'bin'));
  const script = join(dir, LEASE_SCRIPT);
  await copyFile(join(import.meta.dirname, '../../initramfs', LEASE_SCRIPT), script);
  await chmod(script, 0o755);
  for (const applet of APPLETS)
    await symlink(join(root, 'usr/bin/busybox'), join(dir, 'bin', applet));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}

export async function cable(t: TestContext, programs: string): Promise<Cable> {
  count += 1;
  const names = ['n', 's'].map((side) => `billet-${process.pid}-${count}${side}`);
  const [own = '', other = ''] = names;
  const root = join(programs, own);
  await mkdir(join(root, 'etc'), { recursive: true });
  for (const name of ['sys', 'proc', 'run']) await symlink(`/${name}`, join(root, name));
  const ip = (...args: readonly string[]) => execFileSync('ip', args, { encoding: 'utf8' });
  const servers: ChildProcess[] = [];
  t.after(async () => {
    for (const server of servers) {
      if (server.exitCode !== null) continue;
      server.kill('SIGKILL');
      await once(server, 'exit');
    }
    for (const name of names) spawnSync('ip', ['netns', 'delete', name]);
  });
  for (const name of names) ip('netns', 'add', name);
  ip(
    ...['-n', own, 'link', 'add', 'eth0', 'type', 'veth'],
    ...['peer', 'name', 'srv0', 'netns', other],
  );
  for (const [name, links] of [
    [own, ['lo']],
    [other, ['lo', 'srv0']],
  ] as const)
    for (const link of links) ip('-n', name, 'link', 'set', link, 'up');
  // A server's own addresses are there at once; a router that says it is none is forgotten (RFC 4861 §7.3.3).
  const knobs = { 'all/accept_dad': 0, 'srv0/accept_dad': 0, 'all/forwarding': 1 };
  for (const [name, value] of Object.entries(knobs)) {
    const script = `echo ${value} > /proc/sys/net/ipv6/conf/${name}`;
    ip('netns', 'exec', other, 'sh', '-c', script);
  }
  return {
    there: (...argv) => ip('netns', 'exec', other, ...argv),
    here: (...argv) => ip('netns', 'exec', own, ...argv),
    async serve(argv) {
      const server = spawn('ip', ['netns', 'exec', other, ...argv], { stdio: 'pipe' });
      servers.push(server);
      const said: string[] = [];
      for (const stream of [server.stdout, server.stderr])
        stream?.setEncoding('utf8').on('data', (text: string) => said.push(text));
      for (let waited = 0; !/started|ready/.test(said.join('')); waited += 50) {
        assert.ok(server.exitCode === null && waited < 10_000, said.join(''));
        await systemClock.sleep(50, AbortSignal.timeout(1000));
      }
      return server;
    },
    async boot(commandLine) {
      // /run is this boot's own; the agent's /etc is not the host's.
      const script = 'mount -t tmpfs tmpfs /run && PATH="$1" && shift && exec "$@"';
      const path = `${join(programs, 'bin')}:/usr/sbin:/usr/bin`;
      const main = [process.execPath, join(import.meta.dirname, 'network-child.ts')];
      const sh = [
        'sh',
        '-c',
        script,
        'sh',
        path,
        ...main,
        commandLine,
        root,
        join(programs, LEASE_SCRIPT),
      ];
      const child = spawn('ip', ['netns', 'exec', own, ...sh], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let out = '';
      let err = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        out += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        err += text;
      });
      const [code] = await once(child, 'close');
      assert.equal(code, 0, err);
      return JSON.parse(out) as Outcome;
    },
  };
}

/** The command line of a dnsmasq that serves DHCP only. */
export const dnsmasq = (...options: readonly string[]): [string, ...string[]] => [
  ...(['dnsmasq', '--no-daemon', '--conf-file=/dev/null', '--port=0', '--log-facility=-'] as const),
  ...['--interface=srv0', '--bind-interfaces', '--leasefile-ro', '--user=root', '--pid-file='],
  ...options,
];
