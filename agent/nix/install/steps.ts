// The steps of installing a NixOS system, in the order of this profile: each can be taken again after it
// was cut off anywhere. What is done stands in the journal on the disk (agent/install/record.ts).

import { cp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import type { InstallStep } from '#shared/schema/install-report.ts';
import type { NixClosure } from '#shared/schema/nix-closure.ts';
import type { NixKey } from '#shared/schema/nix-keys.ts';
import { type Argv, execOrThrow } from '../../drivers/exec.ts';
import { syncFilesystem } from '../../drivers/sync.ts';
import { diskGuid, eventSeed } from '../../install/event-ids.ts';
import type { StepContext, StepTable } from '../../install/step.ts';
import { wipe } from '../../install/steps/wipe.ts';
import type { Nix } from '../drivers/nix.ts';
import { describedClosure, pullClosure } from '../pull.ts';
import { PROGRAMS, type Program, programOf } from './programs.ts';

export interface NixosInstall {
  readonly closure: NixClosure;
  readonly keys: readonly NixKey[];
  /** The store of the environment that installs. */
  readonly live: Nix;
  /** The root of that store: `/`. */
  readonly liveRoot: string;
  /** The store of the system that is installed. */
  readonly target: Nix;
  /** Where the Disko program mounts it: /mnt. */
  readonly root: string;
  /** INSTALL_DISK. */
  readonly link: string;
}

export interface NixosContext extends StepContext {
  readonly nixos: NixosInstall;
}

/** The boot loader comes with the system, so after it. */
export const NIXOS_STEPS = [
  'wipe',
  'partition',
  'format',
  'slot',
  'loader',
  'state',
  'finish',
] as const satisfies readonly InstallStep[];

export const STEPS: StepTable<NixosContext> = {
  ...{ wipe, partition, format: assureMounted, slot, loader, state, finish },
};

/** Disko erases and lays out; then the disk's GUID says which event did it. */
async function partition(context: NixosContext, signal: AbortSignal): Promise<void> {
  const { ports, on, journal, nixos } = context;
  await unmountAll(context, signal);
  await runProgram('create', context, signal);
  const guid = diskGuid(eventSeed(journal.record.event));
  // Its partitions are mounted by now: the kernel keeps the table that it has, which is the same.
  const label = [
    'sfdisk',
    '--no-reread',
    '--no-tell-kernel',
    '--disk-id',
    on.device,
    guid,
  ] as const;
  await execOrThrow(ports.exec, label, signal, 'look at the disk: dmesg | tail');
  if (await isMounted(context)) return;
  throw failed(
    `${PROGRAMS.create} mounted nothing on ${nixos.root}`,
    `let disko.rootMountPoint be ${nixos.root}, and give / a mount point`,
  );
}

/** What a boot before has laid out is mounted again. */
async function assureMounted(context: NixosContext, signal: AbortSignal): Promise<void> {
  if (await isMounted(context)) return;
  await runProgram('mount', context, signal);
  if (await isMounted(context)) return;
  throw failed(
    `${PROGRAMS.mount} mounted nothing on ${context.nixos.root}`,
    'look at the disk: lsblk; order the installation anew with `billet instance install NAME`',
  );
}

async function slot(context: NixosContext, signal: AbortSignal): Promise<void> {
  await assureMounted(context, signal);
  const { nixos } = context;
  const { closure, keys, target, root } = nixos;
  await pullClosure(closure, { nix: target, keys, root }, signal);
}

/** As nixos-install(8) does: profile, activation in the new root, and its boot loader. */
async function loader(context: NixosContext, signal: AbortSignal): Promise<void> {
  // Since an earlier run another closure may be wanted; what is there already costs nothing.
  await slot(context, signal);
  const { nixos } = context;
  const { root, target, closure } = nixos;
  await target.setProfile(closure.storePath, signal);
  await mkdir(join(root, 'etc'), { recursive: true, mode: 0o755 });
  // switch-to-configuration refuses to work where this file is not.
  await writeFile(join(root, 'etc/NIXOS'), '');
  const binds = ['dev', 'proc', 'sys'];
  try {
    for (const name of binds) {
      await mkdir(join(root, name), { recursive: true, mode: 0o755 });
      await run(
        context,
        ['mount', '--rbind', '--make-rslave', `/${name}`, join(root, name)],
        signal,
      );
    }
    const system = '/nix/var/nix/profiles/system';
    const limited = AbortSignal.any([
      signal,
      AbortSignal.timeout(closure.activationTimeoutSeconds * 1000),
    ]);
    const enter = ['env', 'NIXOS_INSTALL_BOOTLOADER=1', 'chroot', root] as const;
    await activation(context, [...enter, `${system}/activate`], limited, signal);
    const verb = `${system}/bin/switch-to-configuration`;
    await activation(context, [...enter, verb, 'boot'], limited, signal);
  } finally {
    const { exec } = context.ports;
    // The signal may be why this is left: what was mounted goes all the same.
    const own = AbortSignal.timeout(30_000);
    for (const name of binds.reverse())
      await exec(['umount', '--recursive', '--lazy', join(root, name)], own);
  }
}

/** Key, certificate and desired state: the first boot from the disk needs neither token nor claim. */
async function state(context: NixosContext, signal: AbortSignal): Promise<void> {
  await assureMounted(context, signal);
  const { ports, nixos } = context;
  const to = join(nixos.root, 'var/lib/billet');
  await mkdir(to, { recursive: true, mode: 0o711 });
  // Modules are pulled again; what lies in their store belongs to this environment.
  const filter = (from: string) => basename(from) !== 'store';
  await cp(ports.stateDir, to, { recursive: true, preserveTimestamps: true, filter });
}

async function finish(context: NixosContext, signal: AbortSignal): Promise<void> {
  if (await isMounted(context)) syncFilesystem(context.nixos.root);
  await unmountAll(context, signal);
}

async function isMounted({ ports, nixos, on }: NixosContext): Promise<boolean> {
  const entry = (await ports.mounts.table()).findLast(({ target }) => target === nixos.root);
  if (entry === undefined) return false;
  if (isPartOf(entry.source, on.device) || !/^\/dev\/(sd|vd|nvme|loop)/.test(entry.source))
    return true;
  throw failed(
    `${entry.source}, a part of another disk, is mounted on ${nixos.root}`,
    `umount --recursive ${nixos.root}; let the Disko configuration name ${nixos.link} as its device`,
  );
}

/** The disk, or a partition of it as the kernel names them: sda1, and nvme0n1p1 after a digit. */
export function isPartOf(source: string, disk: string): boolean {
  if (!source.startsWith(disk)) return false;
  const rest = source.slice(disk.length);
  return rest === '' || (/\d$/.test(disk) ? /^p\d+$/ : /^\d+$/).test(rest);
}

async function unmountAll(context: NixosContext, signal: AbortSignal): Promise<void> {
  if (!(await isMounted(context))) return;
  await run(context, ['umount', '--recursive', context.nixos.root], signal);
}

/** Fetched into the live store by itself: its place in the signed closure says that it is the one. */
async function runProgram(
  program: Program,
  context: NixosContext,
  signal: AbortSignal,
): Promise<void> {
  const { ports, on, nixos } = context;
  const { closure, keys, live, liveRoot, link } = nixos;
  const deps = { nix: live, keys, root: liveRoot };
  const { cache, infos } = await describedClosure(closure, deps, signal);
  const path = programOf(program, infos);
  await live.copy(path, cache, keys, signal);
  await live.verify(path, keys, signal);
  await mkdir(dirname(link), { recursive: true, mode: 0o755 });
  await rm(link, { force: true });
  await symlink(on.device, link);
  const environment = [`BILLET_DISK=${on.device}`, `BILLET_ROOT=${nixos.root}`];
  const argv = ['env', ...environment, join(liveRoot, path, 'bin', PROGRAMS[program])] as const;
  const { code, stdout, stderr } = await ports.exec(argv, signal);
  if (code === 0) return;
  const said = (stderr.trim() || stdout.trim()).slice(-1000);
  throw failed(
    `${PROGRAMS[program]} ended with ${code}: ${said}`,
    'correct disko.devices of the configuration, and give the node the closure of the corrected one',
  );
}

async function activation(
  { ports, nixos }: NixosContext,
  argv: Argv,
  limited: AbortSignal,
  signal: AbortSignal,
): Promise<void> {
  const what = argv.slice(4).join(' ');
  try {
    const { code, stdout, stderr } = await ports.exec(argv, limited);
    if (code === 0) return;
    const said = (stderr.trim() || stdout.trim()).slice(-1000);
    throw new BilletError('NIX_ACTIVATION_FAILED', `${what} ended with ${code}: ${said}`, {
      hint: `look into it: chroot ${nixos.root} ${what}; then give the node a closure that installs`,
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!limited.aborted) throw error;
    const limit = `${nixos.closure.activationTimeoutSeconds} s`;
    throw new BilletError('NIX_ACTIVATION_TIMEOUT', `${what} did not end within ${limit}`, {
      hint: 'a longer activationTimeoutSeconds gives it more time',
      cause: error,
    });
  }
}

const run = ({ ports }: NixosContext, argv: Argv, signal: AbortSignal): Promise<string> =>
  execOrThrow(ports.exec, argv, signal, 'look at the machine: dmesg | tail; findmnt');

const failed = (message: string, hint: string): BilletError =>
  new BilletError('NIX_INSTALL_FAILED', message, { hint });
