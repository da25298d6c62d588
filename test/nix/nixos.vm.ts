// NixOS systems on a machine with systemd: Debian with Nix, made to look like NixOS by the links that the
// agent goes by. Systems are built without nixpkgs; packages, agent, units, coordinator, registry, binary
// cache, Nix and the disk are real. The tests follow each other on the same machine.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { type LabNode, untilInstance } from '../../lab/node.ts';
import type { Shell } from '../../lab/shell.ts';
import { Digest } from '../../shared/digest.ts';
import type { Instance } from '../../shared/schema/records.ts';
import { FILES, type GuestMachine, SLOW_MS, startGuest } from '../package/guest-machine.ts';
import { type Builder, type BuiltSystem, builder, HANGS, WORKS } from './nix-builder-fixture.ts';
import { type CacheServer, serveCache } from './nix-cache-fixture.ts';
import { installable } from './nix-install-fixture.ts';
import { BLANK, type NixosFleet, nixosFleet } from './nixos-fleet-fixture.ts';

const LIMIT = { timeout: 400_000 };
const NIX = 'nix --extra-experimental-features nix-command --option build-users-group ""';
const OVMF = '/usr/share/OVMF';
/** As a NixOS that restarts what has changed does with the agent. */
const RESTARTS_AGENT = `systemctl restart billet-agent; sleep 2; ${WORKS}`;

const abort = new AbortController();
const dir = mkdtempSync(join(tmpdir(), 'billet-nixos-vm-'));
let make: Builder;
let cache: CacheServer;
let guest: GuestMachine;
let lab: NixosFleet;
let shell: Shell;
let node: LabNode;
let first: BuiltSystem;
let second: BuiltSystem;
let blank: BuiltSystem;

before(
  async () => {
    make = builder(join(dir, 'build'));
    first = published('first', WORKS);
    second = published('second', RESTARTS_AGENT);
    blank = installable(make, 'blank');
    cache = await serveCache(join(dir, 'build/cache'));
    const disk = join(dir, 'target.raw');
    writeFileSync(disk, '');
    truncateSync(disk, 1280 * 2 ** 20);
    const vars = join(dir, 'vars.fd');
    copyFileSync(join(OVMF, 'OVMF_VARS_4M.fd'), vars);
    guest = await startGuest(dir, abort.signal, {
      system: 'nix-system',
      fleet: async (...place) => {
        lab = await nixosFleet(...place, { key: make.key, blankClosure: closure(blank) });
        return lab;
      },
      parts: {
        disks: [{ path: disk, format: 'raw', serial: BLANK.serial }],
        firmware: { code: join(OVMF, 'OVMF_CODE_4M.fd'), vars },
      },
    });
    ({ shell, node } = guest);
  },
  { timeout: 900_000 },
);

after(async () => {
  await guest?.[Symbol.asyncDispose]();
  await cache?.close();
  abort.abort();
  rmSync(dir, { recursive: true, force: true });
});

function published(name: string, activation: string): BuiltSystem {
  const system = make.build(name, activation);
  make.sign(system.path);
  make.publish(system.path);
  return system;
}

/** Of the host's loopback, in a guest's view. */
const cacheUrl = () => cache.url.replace('127.0.0.1', '10.0.2.2');
const closure = ({ path }: BuiltSystem, more: object = {}) => ({
  ...{ storePath: path, caches: [cacheUrl()] },
  ...more,
});

async function want(system: BuiltSystem, more: object = {}): Promise<void> {
  const file = join(dir, 'wanted.json');
  writeFileSync(file, JSON.stringify({ closure: closure(system, more) }));
  await lab.fleet.billet('node', 'set', node.name, '--file', file);
}

const until = (what: string, wanted: (instance: Instance) => boolean) =>
  untilInstance(lab.fleet, node, what, wanted, SLOW_MS);
const activations = async () =>
  (await shell.must('cat /activations')).trim().replace(/\/nix\/store\/[0-9a-z]{32}-/g, '');
const running = async () => (await shell.must('readlink /run/current-system')).trim();
const invocation = () => shell.must('systemctl show --value -p InvocationID billet-agent');

test('a machine that runs a NixOS system gets the agent, and is enrolled', LIMIT, async () => {
  for (const command of [
    `${NIX} copy --from ${cacheUrl()} --no-check-sigs ${first.path}`,
    `nix-env --profile /nix/var/nix/profiles/system --set ${first.path}`,
    `ln -s ${first.path} /run/current-system && ln -s ${first.path} /run/booted-system`,
  ])
    await shell.must(command, SLOW_MS);
  const { 'billet-runtime': runtime, 'billet-agent': agent } = guest.packages.current;
  const debs = [runtime, agent].map((path) => `${FILES}/${basename(path)}`).join(' ');
  const apt = 'DEBIAN_FRONTEND=noninteractive apt-get -q install -y';
  await shell.must(`${apt} ${debs} < /dev/null`, SLOW_MS);
  const words = `--identity - --policy ${FILES}/trust-policy.json < ${FILES}/identity.json`;
  await shell.must(`billet-agent enroll ${words}`, SLOW_MS);
  await until('connected', ({ heartbeat }) => heartbeat?.phase === 'ready');
});

test(
  'an activation that restarts the agent goes on in its own unit, and the next life ends it',
  LIMIT,
  async () => {
    const before = await invocation();
    await want(second);
    await until(
      'running the second',
      ({ heartbeat, confirmed, generation }) =>
        confirmed === generation && heartbeat?.phase === 'ready',
    );
    assert.notEqual(await invocation(), before, 'the agent was restarted');
    assert.equal(await activations(), 'switch nixos-system-second');
    assert.equal(await running(), second.path);
    const units = "systemctl list-units --all --no-legend 'billet-nixos-*'";
    assert.equal((await shell.must(units)).trim(), '');
  },
);

test(
  'one that hangs is ended by systemd at its deadline, with all that it started, and undone',
  LIMIT,
  async () => {
    const third = published('third', HANGS);
    await want(third, { activationTimeoutSeconds: 10 });
    const { rejected } = await until('rejecting it', (now) => now.rejected.length > 0);
    assert.match(rejected[0]?.reason ?? '', /10 s/);
    await until('back', ({ heartbeat }) => heartbeat?.phase === 'ready');
    assert.equal(await running(), second.path);
    const [hung = '', back = ''] = (await activations()).split('\n').slice(1);
    assert.deepEqual([hung, back], ['switch nixos-system-third', 'switch nixos-system-second']);
    assert.equal((await shell.run("grep -lx 'sleep' /proc/[0-9]*/comm")).output.trim(), '');
  },
);

test(
  'a flake that was pushed and signed is fetched by its digest; one that nobody signed is not',
  LIMIT,
  async () => {
    const flake = join(dir, 'flake');
    mkdirSync(flake);
    writeFileSync(join(flake, 'flake.nix'), '{ outputs = _: { }; }\n');
    const { billet } = lab.fleet;
    const push = async (tag: string, sequence: string) => {
      const words = ['--name', 'web-flake', '--sequence', sequence];
      const pushed = await billet('bundle', 'push', flake, `flakes/web:${tag}`, ...words);
      return z.object({ digest: Digest }).parse(pushed).digest;
    };
    const signed = await push('1', '1');
    await billet('bundle', 'sign', 'flakes/web:1', '--key', lab.releaseKey);
    const said = await shell.must(
      `billet-agent nix-bundle flakes/web@${signed} /root/flake`,
      SLOW_MS,
    );
    assert.match(said, /web-flake 0 \(sequence 1\): 1 files/);
    assert.equal(await shell.must('cat /root/flake/flake.nix'), '{ outputs = _: { }; }\n');
    const unsigned = await push('2', '2');
    const refused = await shell.run(
      `billet-agent nix-bundle flakes/web@${unsigned} /root/no`,
      SLOW_MS,
    );
    assert.notEqual(refused.code, 0);
    assert.match(refused.output, /SIGNATURE_MISSING/);
    assert.notEqual((await shell.run('ls /root/no')).code, 0);
  },
);

test(
  'a NixOS system is installed onto the disk that the class means, as the coordinator orders',
  LIMIT,
  async () => {
    const config = {
      ...{ stateDir: '/root/blank/state', storeDir: '/root/blank/store', runDir: '/run/blank' },
      identityFile: `${FILES}/blank.json`,
    };
    await shell.must(
      `mkdir -p /root/blank/state && printf '%s' '${JSON.stringify(config)}' > /root/blank/agent.json`,
    );
    const install = 'billet-agent nixos-install --config /root/blank/agent.json';
    const planned = await shell.must(`${install} --dry-run`, SLOW_MS);
    assert.match(planned, /it would install on vdc/);
    const said = await shell.must(install, SLOW_MS);
    assert.match(said, /installed on vdc/);
    const left = await shell.must(
      'mount /dev/vdc2 /mnt && cat /mnt/boot/loader /mnt/activated && ls /mnt/var/lib/billet && readlink -f /mnt/nix/var/nix/profiles/system',
    );
    for (const part of [/^boot 1$/m, /activate/, /key\.pem/, new RegExp(basename(blank.path))])
      assert.match(left, part);
    const again = await shell.must(`umount /mnt; ${install}`, SLOW_MS);
    assert.match(again, /installed on vdc/);
  },
);
