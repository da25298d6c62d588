// What an install order comes to on the disks that are here: done already, go on, begin, or no. Pure.

import { BilletError } from '#shared/errors.ts';
import { selectDisk } from '#shared/install/select-disk.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { InstallOrder } from '#shared/schema/install-plan.ts';
import {
  INSTALL_STEPS,
  type InstallCandidate,
  type InstallStep,
} from '#shared/schema/install-report.ts';
import { isInstalledBy, isLaidOutBy, isOwnBeginning, type Profile, type SeenDisk } from './seen.ts';
import { describeContent, wipeId } from './wipe-id.ts';

export interface PlanRequest {
  readonly order: InstallOrder;
  readonly instance: Desired['instance'];
  readonly bootImage: Desired['bootImage'];
  /** What is installed brings a boot loader of its own (NixOS): no boot image is written. */
  readonly ownLoader?: boolean;
  readonly firmware: Facts['firmware'];
  readonly disks: readonly SeenDisk[];
  /** Of the boot image. */
  readonly profiles: readonly Profile[];
}

export interface InstallWork {
  readonly kind: 'install';
  readonly on: SeenDisk;
  readonly profile: Profile;
  /** What is left to do, in order. */
  readonly steps: readonly InstallStep[];
  readonly resumes: boolean;
  /** The data directory of this boot has to leave its disk first. */
  readonly releases: boolean;
  readonly candidates: readonly InstallCandidate[];
}

export type InstallDecision =
  | InstallWork
  /** This event is done there. */
  | { readonly kind: 'present'; readonly on: SeenDisk }
  | {
      readonly kind: 'refuse';
      readonly problem: BilletError;
      readonly candidates: readonly InstallCandidate[];
    };

export function planInstall(request: PlanRequest): InstallDecision {
  const { order, disks } = request;
  const { event } = order;
  const here = disks.find((disk) => isInstalledBy(disk, event));
  if (here !== undefined) return { kind: 'present', on: here };
  const found = select(request);
  const { candidates } = found;
  try {
    assertInstallable(request);
    const profile = profileOf(request);
    const begun = disks.find(
      (disk) => disk.record?.event === event && isOwnBeginning(disk, request.profiles),
    );
    if (begun !== undefined) return resume(begun, profile, request, candidates);
    if (found.problem !== null) throw found.problem;
    const on = disks.find(({ disk }) => disk.name === found.chosen.name);
    if (on === undefined) throw new TypeError(`${found.chosen.name} was not among the disks`);
    assertUnused(on);
    const releases = on.holdsData || mappingIsTaken(on, profile, disks);
    assertGivenUp(on, request);
    return {
      ...{ kind: 'install', on, profile, steps: INSTALL_STEPS, resumes: false },
      ...{ releases, candidates },
    };
  } catch (error) {
    if (error instanceof BilletError) return { kind: 'refuse', problem: error, candidates };
    throw error;
  }
}

/** By the plan's selector, each candidate with what its content is called. */
function select({ order: { plan }, disks, profiles }: PlanRequest) {
  const excluded = new Map(
    disks
      .filter(({ bootMedium }) => bootMedium)
      .map(({ disk }) => [disk.name, 'it carries the medium that machines are installed from']),
  );
  const sizeBytesMin = profiles.find(({ name }) => name === plan.profile)?.sizeBytesMin ?? 0;
  const selection = selectDisk(
    plan.disk,
    disks.map(({ disk }) => disk),
    { excluded, sizeBytesMin },
  );
  const candidates = selection.candidates.map((candidate, index): InstallCandidate => {
    const seen = disks[index];
    if (seen === undefined || seen.bootMedium || seen.signatures.length === 0) return candidate;
    const holds = `; it holds ${describeContent(seen.signatures)}`;
    return {
      ...candidate,
      reason: `${candidate.reason}${holds}`.slice(0, 512),
      wipeId: wipeId(seen.disk, seen.signatures),
    };
  });
  return { ...selection, candidates };
}

function assertInstallable({ firmware, bootImage, ownLoader }: PlanRequest): void {
  if (firmware !== 'uefi')
    throw new BilletError('INSTALL_FIRMWARE', 'this machine was started by a BIOS, not by UEFI', {
      hint: 'switch the firmware to UEFI boot, or run the machine without an install plan',
    });
  if (ownLoader === true || (bootImage?.uki && bootImage.loader)) return;
  const lacks = bootImage === null ? 'there is no boot image' : 'it has no UKI or no loader';
  throw new BilletError(
    'INSTALL_IMAGE_INCOMPLETE',
    `the disk would have nothing to boot: ${lacks}`,
    {
      hint: 'build it with `billet image build`, push and sign it, and name it in platform or node',
    },
  );
}

function profileOf({ order: { plan }, profiles }: PlanRequest): Profile {
  const profile = profiles.find(({ name }) => name === plan.profile);
  if (profile === undefined) {
    const known = profiles.map(({ name }) => name).join(', ') || 'none';
    throw new BilletError(
      'INSTALL_PROFILE_UNKNOWN',
      `this boot image has no install profile ${plan.profile}: it has ${known}`,
      { hint: `set the profile of the class's install plan to one of: ${known}` },
    );
  }
  if (profile.encrypts && plan.recoveryRecipient === null)
    throw new BilletError('RECOVERY_KEY_INVALID', `${profile.name} needs a recoveryRecipient`, {
      hint: 'set recoveryRecipient in the install plan: without it nobody could open the disk but its TPM',
    });
  return profile;
}

/** Begun under this event: the rest of it, wherever it was cut off. */
function resume(
  on: SeenDisk,
  profile: Profile,
  { order: { event, plan }, disks }: PlanRequest,
  candidates: readonly InstallCandidate[],
): InstallWork {
  const meant = candidates.find(({ disk }) => disk.name === on.disk.name)?.matches === true;
  const begunAs = on.record?.profile;
  if (!meant || begunAs !== profile.name)
    throw new BilletError(
      'INSTALL_PLAN_CHANGED',
      meant
        ? `${event} began as profile ${begunAs} on ${on.disk.name}, and the plan says ${plan.profile}`
        : `${event} began on ${on.disk.name}, which the plan does not mean any more`,
      {
        hint: 'order it anew with `billet instance install NAME`, or put the earlier plan back',
        details: { event, disk: on.disk.name },
      },
    );
  assertUnused(on);
  const done = on.record?.done ?? [];
  // A table that is not there any more takes with it what was done after it.
  const left = isLaidOutBy(on, event)
    ? INSTALL_STEPS.filter((step) => !done.includes(step))
    : INSTALL_STEPS.filter((step) => step !== 'wipe' || !done.includes(step));
  const releases = (on.holdsData && !isLaidOutBy(on, event)) || mappingIsTaken(on, profile, disks);
  return { kind: 'install', on, profile, steps: left, resumes: true, releases, candidates };
}

/** LUKS is opened under one name: with data on another encrypted disk, it is not free for this one. */
const mappingIsTaken = (on: SeenDisk, { encrypts }: Profile, disks: readonly SeenDisk[]): boolean =>
  encrypts && disks.some((each) => each !== on && each.holdsData && each.holders.length > 0);

function assertUnused({ disk, users, unreadable }: SeenDisk): void {
  if (unreadable !== null)
    throw new BilletError('INSTALL_DISK_FAILED', `${disk.name} cannot be read: ${unreadable}`, {
      hint: 'look at `dmesg | tail`; replace the disk, or let the plan name another',
    });
  if (users.length > 0)
    throw new BilletError('INSTALL_DISK_IN_USE', `${disk.name} is ${users.join(', ')}`, {
      hint: 'stop what uses it, or let the plan name another disk',
      details: { disk: disk.name, users },
    });
}

/** Empty, an installation of this instance that never ended, or given up by its name. */
function assertGivenUp(on: SeenDisk, { order: { plan }, instance, profiles }: PlanRequest): void {
  const { disk, signatures, record } = on;
  if (signatures.length === 0) return;
  if (record?.instance === instance && isOwnBeginning(on, profiles)) return;
  const id = wipeId(disk, signatures);
  if (plan.wipeId === id) return;
  const other = plan.wipeId === null ? '' : `, and the plan gives up ${plan.wipeId}`;
  throw new BilletError(
    'INSTALL_DISK_HOLDS_DATA',
    `${disk.name} holds ${describeContent(signatures)} (${id})${other}`,
    {
      hint: `if all of it may be lost: billet instance install NAME --wipe ${id}`,
      details: { disk: disk.name, wipeId: id },
    },
  );
}
