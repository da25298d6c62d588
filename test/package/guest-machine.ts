// The machine of the packages, switched on: a disk with the system, one with packages and what enrolls it,
// a shell, and the node that its coordinator knows it as.

import { basename, join } from 'node:path';
import { type LabNode, shellOf } from '../../lab/node.ts';
import { freePort, labCpus, type PoweredMachine, powerOn } from '../../lab/power.ts';
import { SHELL_WORD, type Shell } from '../../lab/shell.ts';
import { run } from '../../setup/build/drivers/run.ts';
import type { QemuSpec } from '../../shared/qemu/arguments.ts';
import { fileDisk, guest } from './guest.ts';
import { type GuestFleet, guestFleet } from './guest-fleet.ts';
import { type PackageFiles, packageFiles, type RootKind } from './package-fixture.ts';

/** An emulated machine on a busy host. */
export const SLOW_MS = 200_000;
/** Where the second disk is mounted. */
export const FILES = '/run/files';
const MAC = '52:54:00:b1:77:01';
const UUID = '5d5b51a4-77aa-4d5c-9a3e-0c1f5a4b7701';

export interface GuestOptions {
  readonly system?: RootKind;
  readonly fleet?: (dir: string, signal: AbortSignal) => Promise<GuestFleet>;
  /** More of them, and the firmware that they need. */
  readonly parts?: Pick<QemuSpec, 'disks' | 'firmware'>;
}

export interface GuestMachine extends AsyncDisposable {
  readonly packages: PackageFiles;
  readonly lab: GuestFleet;
  readonly node: LabNode;
  readonly shell: Shell;
  /**
   * What differs from the beginning, a line each: files with owner, mode and target, users, units and
   * mounts; not what apt, dpkg and passwd keep of their work.
   */
  changes(): Promise<readonly string[]>;
}

/** `dir` is empty, and removed by whoever made it. */
export async function startGuest(
  dir: string,
  signal: AbortSignal,
  { system: kind = 'package-system', fleet = guestFleet, parts = {} }: GuestOptions = {},
): Promise<GuestMachine> {
  const packages = await packageFiles(signal);
  const { kernel, initramfs, root } = await guest(kind, signal);
  const lab = await fleet(dir, signal);
  await using undo = new AsyncDisposableStack();
  undo.use(lab.fleet);
  const [system, files] = [join(dir, 'system.ext4'), join(dir, 'files.ext4')];
  await run(['cp', '--sparse=always', root, system], { signal });
  const debs = [...Object.values(packages.current), packages.olderAgent];
  const given = [
    ...debs.map((from) => ({ name: basename(from), from })),
    { name: 'identity.json', from: lab.identity },
    { name: 'trust-policy.json', from: lab.policy },
    ...(lab.files ?? []),
  ];
  await fileDisk(files, given, signal);
  const hostPort = await freePort();
  const machine: PoweredMachine = await powerOn(
    {
      ...{
        ...parts,
        name: lab.node,
        accelerator: 'tcg',
        memoryMib: 2048,
        cpus: labCpus(),
        uuid: UUID,
        mac: MAC,
      },
      disks: [
        { path: system, format: 'raw', serial: 'system' },
        { path: files, format: 'raw', serial: 'files', readOnly: true },
        ...(parts.disks ?? []),
      ],
      direct: {
        ...{ kernel, initramfs },
        commandLine: `console=ttyS0 quiet ${SHELL_WORD} systemd.show_status=false`,
      },
      secondSerial: true,
      forward: [{ hostPort, guestPort: 8080 }],
    },
    join(dir, 'console.log'),
    signal,
  );
  undo.use(machine);
  const shell = await shellOf(machine);
  undo.defer(() => shell.close());
  await shell.run('systemctl is-system-running --wait', SLOW_MS);
  await shell.must(`mkdir ${FILES} && mount -o ro /dev/vdb ${FILES}`);
  await writeState(shell, 'before');
  const end = undo.move();
  return {
    packages,
    lab,
    node: {
      ...{ name: lab.node, instance: lab.instance.id, mac: MAC, uuid: UUID },
      pageUrl: `http://127.0.0.1:${hostPort}/`,
    },
    shell,
    changes: () => changesOf(shell),
    [Symbol.asyncDispose]: () => end.disposeAsync(),
  };
}

/** Compared in the machine: a megabyte takes its time over a serial line. */
const STATE = `
find / -xdev \\( -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg \\
  -o -path /var/lib/systemd -o -path /var/tmp -o -path /root \\) -prune \\
  -o -printf '%p %y %m %U %G %l\\n' | grep -v '^/etc/[a-z]*- ' | sort
sort /etc/passwd /etc/group
systemctl list-unit-files --no-legend --no-pager | sort
findmnt -rno TARGET,FSTYPE | grep -v '^/run/credentials' | sort
`;

const writeState = (shell: Shell, name: string) =>
  shell.must(`(${STATE}) > /run/state-${name}`, SLOW_MS);

async function changesOf(shell: Shell): Promise<readonly string[]> {
  await writeState(shell, 'now');
  const { output } = await shell.run('diff /run/state-before /run/state-now', SLOW_MS);
  return output.split('\n').filter((line) => /^[<>]/.test(line));
}
