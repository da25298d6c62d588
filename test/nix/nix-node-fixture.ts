// A NixOS node in a directory: a real Nix store, profile and roots below it, and transient units as
// processes of their own, which outlive whoever started them: systemd is not the init of this host. With
// systemd it is done in nixos.vm.ts.

import { spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { hostExec } from '../../agent/drivers/exec.ts';
import type { Detached, DetachedState } from '../../agent/nix/drivers/detached.ts';
import { hostNix } from '../../agent/nix/drivers/nix.ts';
import { openNixState } from '../../agent/nix/switch-record.ts';
import { type NixSystem, nixSystem } from '../../agent/nix/system.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import type { SystemPath } from '../../shared/schema/nix-closure.ts';
import type { NixKey } from '../../shared/schema/nix-keys.ts';
import { nix } from './nix-builder-fixture.ts';

export interface NixNode {
  readonly root: string;
  /** One life of the agent: with its own memory, on what the one before left. */
  live(options: LifeOptions): Promise<NixSystem>;
  /** What was activated, in order: `switch nixos-system-a`. */
  activations(): string[];
  running(): string;
  profile(): string;
  /** Names of all that lies in the store. */
  stored(): string[];
  end(): void;
}

export interface LifeOptions {
  readonly keys: readonly NixKey[];
  /** Before each command of Nix and each move of a unit. */
  readonly before?: (what: string) => Promise<void>;
  readonly clock?: Clock;
}

const nameOf = (path: string): string => path.replace(/^\/nix\/store\/[0-9a-z]{32}-/, '');

/** With a system that runs already, as its owner installed it: taken from the store `from`. */
export function nixNode(root: string, from: string, first: SystemPath): NixNode {
  mkdirSync(join(root, 'run'), { recursive: true });
  mkdirSync(join(root, 'state'), { recursive: true });
  const store = `local?root=${root}`;
  const profile = join(root, PROFILES, 'system');
  nix('nix', ['copy', '--from', from, '--to', store, '--no-check-sigs', first]);
  nix('nix-env', ['--store', store, '--profile', profile, '--set', first]);
  for (const name of ['current-system', 'booted-system'])
    symlinkSync(first, join(root, 'run', name));
  return openNode(root);
}

const PROFILES = 'nix/var/nix/profiles';

/** One that is there. */
export function openNode(root: string): NixNode {
  const profiles = join(root, PROFILES);
  const link = (path: string) => nameOf(readlink(path));
  return {
    root,
    async live({ keys, before = async () => undefined, clock = systemClock }) {
      const exec: typeof hostExec = async (argv, ...more) => {
        await before(
          argv.filter((word) => /^(nix[a-z-]*|copy|verify|path-info|--set)$/.test(word)).join(' '),
        );
        return await hostExec(argv, ...more);
      };
      return nixSystem({
        ...{ clock, keys, root },
        nix: hostNix({ exec, root, netrc: join(root, 'netrc') }),
        detached: processes(root, before),
        state: await openNixState(join(root, 'state')),
      });
    },
    activations: () =>
      linesOf(join(root, 'activations')).map((line) => {
        const [verb = '', path = ''] = line.split(' ');
        return `${verb} ${nameOf(path)}`;
      }),
    running: () => link(join(root, 'run/current-system')),
    profile: () => link(join(profiles, link(join(profiles, 'system')))),
    stored: () =>
      readdirSync(join(root, 'nix/store'))
        .filter((name) => !name.startsWith('.'))
        .map((name) => name.slice(33))
        .sort(),
    end() {
      for (const name of existsSync(join(root, 'units')) ? readdirSync(join(root, 'units')) : [])
        kill(root, name);
    },
  };
}

/** What a link says; nothing where there is none. */
const readlink = (path: string): string =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true ? readlinkSync(path) : '';

const linesOf = (path: string): string[] =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];

/** timeout(1) gives it. */
const TIMED_OUT = 124;

function processes(root: string, before: (what: string) => Promise<void>): Detached {
  const at = (name: string, file: string) => join(root, 'units', name, file);
  return {
    async start({ name, argv, environment, timeoutSeconds }) {
      await before(`start ${name}`);
      mkdirSync(at(name, ''), { recursive: true });
      const script =
        'echo $$ > "$0/pid"; timeout -k 1 "$1" "$2" "$3" > "$0/log" 2>&1; echo $? > "$0/draft"; mv "$0/draft" "$0/result"';
      spawn('/bin/sh', ['-c', script, at(name, ''), `${timeoutSeconds}`, ...argv], {
        detached: true,
        stdio: 'ignore',
        env: { ...process.env, ...environment, BILLET_ROOT: root },
      }).unref();
      writeFileSync(at(name, 'started'), '');
      await before(`started ${name}`);
    },
    async state(name): Promise<DetachedState> {
      if (!existsSync(at(name, 'started'))) return { kind: 'none' };
      const [code] = linesOf(at(name, 'result'));
      if (code === undefined) return { kind: 'running' };
      if (Number(code) === 0) return { kind: 'succeeded' };
      return Number(code) === TIMED_OUT
        ? { kind: 'timed-out' }
        : { kind: 'failed', exitCode: Number(code) };
    },
    said: async (name) => linesOf(at(name, 'log')).join('\n'),
    async forget(name) {
      await before(`forget ${name}`);
      kill(root, name);
      rmSync(at(name, ''), { recursive: true, force: true });
    },
  };
}

function kill(root: string, name: string): void {
  const [pid] = linesOf(join(root, 'units', name, 'pid'));
  if (pid === undefined) return;
  try {
    process.kill(-Number(pid), 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
