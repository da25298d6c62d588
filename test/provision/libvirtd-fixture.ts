// A libvirtd of a suite's own: sockets, state and logs in one directory, no system daemon touched.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runProgram } from '../../coordinator/drivers/exec.ts';

export interface Libvirtd {
  readonly uri: string;
  virsh(...words: readonly string[]): Promise<string>;
  /** Nothing answers any more, as from a daemon that hangs. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/** Machines run as root, without the confinement that needs a whole system around it. */
const QEMU_CONF = [
  'user = "root"',
  'group = "root"',
  'security_driver = "none"',
  'cgroup_controllers = []',
  'namespaces = []',
  'stdio_handler = "file"',
  'remember_owner = 0',
  'dynamic_ownership = 0',
  '',
].join('\n');

/** libvirt looks this user up before it reads that it is to be root. */
const USER = 'libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin';
const GROUP = 'libvirt-qemu:x:64055:';

/** In a mount namespace of its own, with directories of this suite where libvirt has its fixed ones. */
const SCRIPT = `
set -eu
dir=$1
for place in etc/libvirt run/libvirt var/lib/libvirt var/cache/libvirt var/log/libvirt; do
  mkdir -p "/$place" "$dir/root/$place"
  mount --bind "$dir/root/$place" "/$place"
done
for file in passwd group; do
  mount --bind "$dir/$file" "/etc/$file"
done
printf '%s' "$2" >/etc/libvirt/qemu.conf
exec libvirtd --config "$dir/libvirtd.conf" --pid-file "$dir/pid"
`;

export async function startLibvirtd(dir: string): Promise<Libvirtd> {
  const sockets = join(dir, 'run');
  await mkdir(sockets, { mode: 0o700 });
  await writeFile(join(dir, 'passwd'), `${await readFile('/etc/passwd', 'utf8')}${USER}\n`);
  await writeFile(join(dir, 'group'), `${await readFile('/etc/group', 'utf8')}${GROUP}\n`);
  const conf = [
    `unix_sock_dir = "${sockets}"`,
    'auth_unix_rw = "none"',
    'unix_sock_group = "root"',
  ];
  await writeFile(join(dir, 'libvirtd.conf'), `${conf.join('\n')}\n`);
  const inside = ['sh', '-c', SCRIPT, 'sh', dir, QEMU_CONF];
  const daemon = spawn('unshare', ['--mount', '--propagation', 'private', ...inside], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  daemon.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-8_000);
  });
  const uri = `qemu:///system?socket=${join(sockets, 'libvirt-sock')}`;
  const virsh = async (...words: readonly string[]) => {
    const signal = AbortSignal.timeout(20_000);
    const { code, stdout, stderr } = await runProgram(['virsh', '-c', uri, ...words], signal);
    if (code === 0) return stdout;
    throw new Error(`virsh ${words[0]}: ${stderr}; libvirtd: ${said}`);
  };
  await untilAnswers(daemon, () => virsh('version', '--daemon'));
  return {
    uri,
    virsh,
    freeze: () => daemon.kill('SIGSTOP'),
    thaw: () => daemon.kill('SIGCONT'),
    async stop() {
      daemon.kill('SIGCONT');
      if (daemon.exitCode !== null || daemon.signalCode !== null) return;
      const gone = once(daemon, 'exit');
      daemon.kill('SIGTERM');
      await gone;
    },
  };
}

async function untilAnswers(daemon: ChildProcess, ask: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; ; tries += 1)
    try {
      await ask();
      return;
    } catch (error) {
      if (tries === 50 || daemon.exitCode !== null) throw error;
      await delay(200);
    }
}
