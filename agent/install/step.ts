// What every step of an installation is given. Types, and the way to a mounted part of the disk.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import type { InstallStep } from '#shared/schema/install-report.ts';
import type { InstallJournal } from './journal.ts';
import { seeTables } from './observe.ts';
import type { InstalledDisk, InstallPorts, InstallRequest } from './ports.ts';
import { layoutOf, type Profile, type SeenDisk, type SeenTable } from './seen.ts';

export interface StepContext {
  readonly ports: InstallPorts;
  readonly request: InstallRequest;
  /** As it was when the installation began. */
  readonly on: SeenDisk;
  readonly profile: Profile;
  readonly journal: InstallJournal;
  /** Of this step, 0 to 1. */
  readonly onProgress: (share: number) => void;
}

/** Taken again after it was cut off anywhere, a step comes to the same end. */
export type Step<Context extends StepContext = StepContext> = (
  context: Context,
  signal: AbortSignal,
) => Promise<void>;

/** What each step does in one kind of installation. */
export type StepTable<Context extends StepContext = StepContext> = Readonly<
  Record<InstallStep, Step<Context>>
>;

/** The disk as it is now. Throws INSTALL_DISK_GONE. */
export async function seeAgain({ ports, on }: StepContext): Promise<SeenTable> {
  const now = (await seeTables(ports)).find(({ disk }) => isSame(disk, on.disk));
  if (now !== undefined) return now;
  throw diskGone(on.disk.name);
}

/** Another disk may have taken its name. */
export const isSame = (a: SeenDisk['disk'], b: SeenDisk['disk']): boolean =>
  a.name === b.name && a.serial === b.serial && a.wwn === b.wwn && a.sizeBytes === b.sizeBytes;

export const diskGone = (name: string, cause?: unknown): BilletError =>
  new BilletError('INSTALL_DISK_GONE', `${name} went away in the middle of the installation`, {
    hint: 'attach it again, or look at its cable and power; it goes on where it stopped',
    cause,
  });

/** Throws INSTALL_STEP_FAILED as long as partitions of the layout are missing. */
export async function layoutNow(context: StepContext): Promise<InstalledDisk> {
  const layout = layoutOf(await seeAgain(context));
  if (layout !== null) return layout;
  throw new BilletError('INSTALL_STEP_FAILED', `${context.on.disk.name} lacks a partition`, {
    hint: 'it is tried again; if it stays so, order it anew with `billet instance install NAME`',
  });
}

const FLAGS = ['nosuid', 'nodev', 'noexec', 'noatime'] as const;

/** Mounts a part for as long as `work` takes. What was written is on the disk afterwards. */
export async function mounted<T>(
  { mounts, workDir }: InstallPorts,
  part: { readonly device: string; readonly type: string },
  work: (dir: string) => Promise<T>,
): Promise<T> {
  const target = join(workDir, part.device.replace(/^.*\//, ''));
  await mkdir(target, { recursive: true, mode: 0o700 });
  // A mount that an attempt before this one left.
  mounts.unmount(target);
  mounts.mount({ source: part.device, target, type: part.type, flags: FLAGS });
  try {
    return await work(target);
  } finally {
    mounts.unmount(target);
  }
}
