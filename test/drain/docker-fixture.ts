// The real Docker engine (Debian's docker.io) for tests: a daemon of the test's own, with its own data,
// state, socket and no network, which goes with all that it made. systemd is played here: the two units
// stand for that one daemon, since tests run where systemd is not the first process.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Units } from '../../agent/drivers/units.ts';

const DOCKER = '/usr/bin/docker';
const DOCKERD = '/usr/sbin/dockerd';
const ROOT = '/sys/fs/cgroup';
const START_MS = 30_000;

export interface DockerFixture {
  readonly program: string;
  readonly socket: string;
  /** Where the control groups of its containers are. */
  readonly cgroups: string;
  /** Of the daemon; null while it does not run. */
  pid(): number | null;
  /** Runs the client; its stdout. Throws with what it said. */
  docker(...args: readonly string[]): string;
  /** `docker.service` is that daemon; `docker.socket` is active with it. */
  readonly units: Pick<Units, 'start' | 'stop' | 'states'>;
  close(): Promise<void>;
}

/** Starts the daemon with an image `busybox` in it. */
export async function dockerFixture(): Promise<DockerFixture> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-docker-'));
  const socket = join(dir, 'docker.sock');
  // cgroupfs(5): of this test alone, so that nothing of it is left in any hierarchy.
  const group = `billet-test-${dir.slice(-6)}`.toLowerCase();
  await writeFile(join(dir, 'daemon.json'), '{}');
  let daemon: ChildProcess | null = null;

  function client(args: readonly string[]) {
    const argv = ['--host', `unix://${socket}`, ...args];
    return spawnSync(DOCKER, argv, { encoding: 'utf8', timeout: 60_000 });
  }

  async function start(): Promise<void> {
    daemon = spawn(DOCKERD, daemonArgs(dir, socket, group), { stdio: 'ignore' });
    for (let waited = 0; client(['info']).status !== 0; waited += 200) {
      if (waited > START_MS || daemon.exitCode !== null) throw new Error('dockerd does not start');
      await setTimeout(200);
    }
  }

  async function stop(): Promise<void> {
    const running = daemon;
    daemon = null;
    if (running === null || running.exitCode !== null) return;
    const ended = once(running, 'exit');
    running.kill('SIGTERM');
    await ended;
  }

  const fixture: DockerFixture = {
    program: DOCKER,
    socket,
    cgroups: join(existsSync(`${ROOT}/systemd`) ? `${ROOT}/systemd` : ROOT, group),
    pid: () => daemon?.pid ?? null,
    docker(...args) {
      const { status, stdout, stderr } = client(args);
      if (status !== 0) throw new Error(`docker ${args.join(' ')}: ${stderr}`);
      return stdout.trim();
    },
    units: {
      start: async () => (daemon === null ? await start() : undefined),
      async stop(names) {
        if (names.includes('docker.service')) await stop();
      },
      states: async (names) =>
        new Map(names.map((name) => [name, daemon === null ? 'inactive' : 'active'])),
    },
    async close() {
      if (daemon !== null) {
        const ids = client(['ps', '--all', '--quiet']).stdout.split('\n').filter(Boolean);
        if (ids.length > 0) client(['rm', '--force', ...ids]);
      }
      await stop();
      await removeGroups(group);
      await rm(dir, { recursive: true, force: true });
    },
  };
  try {
    await start();
    const image = join(dir, 'image/bin');
    await mkdir(image, { recursive: true });
    await copyFile('/bin/busybox', join(image, 'busybox'));
    const archive = join(dir, 'image.tar');
    spawnSync('tar', ['--create', '--file', archive, '--directory', join(dir, 'image'), '.']);
    const made = client(['import', archive, 'busybox']);
    if (made.status !== 0) throw new Error(made.stderr);
    return fixture;
  } catch (error) {
    await fixture.close();
    throw error;
  }
}

const daemonArgs = (dir: string, socket: string, group: string): readonly string[] => [
  ...['--host', `unix://${socket}`, '--config-file', join(dir, 'daemon.json')],
  ...['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec')],
  ...['--pidfile', join(dir, 'pid'), '--cgroup-parent', `/${group}`],
  ...['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'],
  ...['--ip-masq=false', '--storage-driver=vfs'],
];

/** A directory of cgroups has files that nobody removes. */
async function removeGroup(dir: string): Promise<void> {
  const entries = await readdir(dir, { withFileTypes: true });
  for (const entry of entries) if (entry.isDirectory()) await removeGroup(join(dir, entry.name));
  await rmdir(dir);
}

/** Of every hierarchy; empty by now. */
async function removeGroups(group: string): Promise<void> {
  for (const place of ['', ...(await readdir(ROOT))])
    if (existsSync(join(ROOT, place, group))) await removeGroup(join(ROOT, place, group));
}
