// A machine that a NixOS system is installed on: a disk that is a loop device, and a system without nixpkgs
// whose programs lay it out with the real sfdisk and mkfs, and whose activation runs in the new root.

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { bootLog } from '../../agent/boot/boot-log.ts';
import { observeDisks } from '../../agent/drivers/disks.ts';
import { type Argv, type Exec, hostExec } from '../../agent/drivers/exec.ts';
import { hostMounts } from '../../agent/drivers/mounts.ts';
import type { InstallPorts, InstallRequest } from '../../agent/install/ports.ts';
import { hostNix } from '../../agent/nix/drivers/nix.ts';
import type { NixosInstall } from '../../agent/nix/install/steps.ts';
import { systemClock } from '../../shared/clock.ts';
import { Desired } from '../../shared/schema/desired.ts';
import { Facts } from '../../shared/schema/facts.ts';
import type { InstallReport } from '../../shared/schema/install-report.ts';
import { NixClosure } from '../../shared/schema/nix-closure.ts';
import { TrustPolicy } from '../../shared/schema/trust-policy.ts';
import type { Builder, BuiltSystem } from './nix-builder-fixture.ts';

export const EVENT = 'ie-0123456789abcdef';
export const SERIAL = 'nixos-disk';
const ANY_SIGNAL = new AbortController().signal;

export interface InstallMachine {
  readonly device: string;
  readonly root: string;
  readonly reports: InstallReport[];
  /** Each program that was run, by its name. */
  readonly ran: string[];
  /** What stops the next run: throws before a program of this name. */
  failBefore: string | null;
  install(
    system: BuiltSystem,
    more?: { plan?: object; event?: string; dryRun?: boolean; closure?: object },
  ): Parts;
  onDisk<T>(look: (root: string) => T): Promise<T>;
}

export interface Parts {
  readonly ports: InstallPorts;
  readonly request: InstallRequest;
  readonly nixos: NixosInstall;
}

const POLICY = TrustPolicy.parse({
  format: 1,
  rules: [
    {
      modules: ['*'],
      keys: [
        '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n',
      ],
    },
  ],
});

export async function installMachine(
  context: TestContext,
  { key, cache }: { readonly key: string; readonly cache: string },
): Promise<InstallMachine> {
  const dir = mkdtempSync(join(tmpdir(), 'billet-nixos-'));
  const [file, root, stateDir] = ['disk.img', 'mnt', 'state'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  const run = (...argv: Argv) => hostExec(argv, ANY_SIGNAL);
  writeFileSync(file, '');
  truncateSync(file, 1280 * 2 ** 20);
  await run('mkdir', '-p', root, stateDir, join(dir, 'data'));
  writeFileSync(join(stateDir, 'key.pem'), 'the key', { mode: 0o600 });
  const device = (await run('losetup', '--find', '--show', file)).stdout.trim();
  context.after(async () => {
    await run('umount', '--recursive', root);
    await run('partx', '--delete', device);
    await run('losetup', '--detach', device);
    rmSync(dir, { recursive: true, force: true });
  });
  const machine: InstallMachine = {
    ...{ device, root, reports: [], ran: [], failBefore: null },
    install(system, { plan = {}, event = EVENT, dryRun = false, closure = {} } = {}) {
      const wanted = NixClosure.parse({ storePath: system.path, caches: [cache], ...closure });
      return {
        ports: portsOf(machine, { dir, stateDir, exec }),
        request: {
          desired: Desired.parse({
            ...{ format: 1, history: 'h', instance: 'i-0123456789abcdef', node: 'web-1' },
            ...{ generation: 1, bootImage: null, modules: [], systemImage: null, settings: {} },
            closure: wanted,
            install: { event, plan: { profile: 'nixos-disko', disk: { serial: SERIAL }, ...plan } },
          }),
          ...{
            facts: FACTS,
            bootId: '11111111-2222-4333-8444-555555555555',
            policy: POLICY,
            dryRun,
          },
          uplink: {
            reportInstall: async (report) => void machine.reports.push(report),
            sourceFor: () => {
              throw new Error('no module is pulled');
            },
          },
        },
        nixos: {
          ...{ closure: wanted, keys: [{ key, systems: true }], root, link: join(dir, 'link') },
          live: hostNix({ exec, root: join(dir, 'live'), netrc: '/nonexistent' }),
          liveRoot: join(dir, 'live'),
          target: hostNix({ exec, root, netrc: '/nonexistent' }),
        },
      };
    },
    async onDisk(look) {
      await run('partx', '--update', device);
      // Not read-only: another name space of this host may still hold it writable.
      const { code, stderr } = await run('mount', `${device}p2`, root);
      if (code !== 0) throw new Error(stderr);
      try {
        return look(root);
      } finally {
        await run('umount', root);
      }
    },
  };
  const exec: Exec = async (argv, ...more) => {
    const name = argv.find((word) => NAMED.test(word))?.replace(/^.*\//, '') ?? argv[0];
    machine.ran.push(name);
    if (machine.failBefore === name) throw new Error(`cut off before ${name}`);
    return await hostExec(argv, ...more);
  };
  return machine;
}

const NAMED = /(billet-disko|billet-mount|activate|switch-to-configuration|--set|copy|sfdisk)$/;

function portsOf(
  { device }: InstallMachine,
  { dir, stateDir, exec }: { dir: string; stateDir: string; exec: Exec },
): InstallPorts {
  const log = bootLog({
    ...{ say: () => undefined, uptimeSeconds: () => 1, path: join(dir, 'markers.jsonl') },
  });
  return {
    ...{ clock: systemClock, log, exec, mounts: hostMounts(), stateDir, espType: 'vfat' },
    ...{ dataDir: join(dir, 'data'), workDir: join(dir, 'work') },
    async observeDisks() {
      // The kernel of a test machine need not read partition tables by itself.
      await hostExec(['partx', '--update', device], ANY_SIGNAL);
      const seen = await observeDisks({ isDisk: (name) => device === `/dev/${name}` });
      return seen.map((each) => ({ ...each, disk: { ...each.disk, serial: SERIAL, byId: [] } }));
    },
    profiles: async () => [],
    mappingName: async () => null,
    firmware: { startFirst: async () => undefined },
    ...{ vault: null, releaseData: null },
  };
}

const FACTS = Facts.parse({
  ...{ architecture: 'x86_64', kernelRelease: '6.12.1-test', firmware: 'uefi', secureBoot: false },
  ...{ cpuCount: 1, memoryBytes: 1, macs: [], disks: [] },
});

/** What its Disko program does after it has made the partitions. */
export const LAYS_OUT = 'mount "$second" "$BILLET_ROOT"; mkdir -p "$BILLET_ROOT/boot"';
/** A partition of loop0 is loop0p2, of vda vda2 (block/partitions/core.c, add_partition). */
const FIND_SECOND = [
  'disk=$(readlink -f "$BILLET_DISK")',
  'case "$disk" in *[0-9]) second="$disk"p2 ;; *) second="$disk"2 ;; esac',
].join('; ');

/** With a shell of its own, since it is activated in a root that has nothing else. */
export function installable(
  make: Builder,
  name: string,
  { layout = LAYS_OUT, bootLoader = 'true' } = {},
): BuiltSystem {
  const system = make.buildFrom(
    name,
    `
let
  make = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
  program = name: text: make name ''
    mkdir -p $out/bin
    cat > $out/bin/\${name} <<'SCRIPT'
\${text}
SCRIPT
    chmod 755 $out/bin/\${name}
  '';
  shell = make "shell" "mkdir -p $out/bin; cp /bin/sh $out/bin/sh";
  disko = program "billet-disko" ''
    #!/bin/sh
    set -e
    ${FIND_SECOND}
    printf 'label: gpt\\nsize=64MiB, type=U\\ntype=L\\n' | sfdisk --quiet "$disk"
    partx --update "$disk"
    mkfs.ext4 -q -F -L "${name}" "$second"
    ${layout}
  '';
  mount = program "billet-mount" ''
    #!/bin/sh
    ${FIND_SECOND}
    exec mount "$second" "$BILLET_ROOT"
  '';
in make "nixos-system-${name}" ''
  mkdir -p $out/bin
  ln -s \${disko} $out/disko
  ln -s \${mount} $out/mount
  printf '#!%s\\necho "$0" >> /activated\\n' \${shell}/bin/sh > $out/activate
  { echo "#!\${shell}/bin/sh"
    cat <<'SCRIPT'
[ -e /etc/NIXOS ] || exit 1
${bootLoader}
echo "$1 $NIXOS_INSTALL_BOOTLOADER" >> /boot/loader
SCRIPT
  } > $out/bin/switch-to-configuration
  chmod 755 $out/activate $out/bin/switch-to-configuration
''
`,
  );
  make.sign(system.path);
  make.publish(system.path);
  return system;
}
