// Which disk of a machine an install plan means, and why it is none of the others. Pure: a node calls it
// with what it sees, a coordinator with the facts that a machine enrolled with.

import { BilletError } from '../errors.ts';
import type { Disk } from '../schema/facts.ts';
import type { DiskSelector } from '../schema/install-plan.ts';
import type { InstallCandidate } from '../schema/install-report.ts';
import { describeSelector, mismatches } from './match-disk.ts';

export interface SelectOptions {
  /** Kernel names of disks that are never meant, each with the reason: what the machine booted from. */
  readonly excluded?: ReadonlyMap<string, string>;
  /** What the profile needs. */
  readonly sizeBytesMin?: number;
}

export type Selection =
  | { readonly chosen: Disk; readonly problem: null; readonly candidates: InstallCandidate[] }
  | {
      readonly chosen: null;
      readonly problem: BilletError;
      readonly candidates: InstallCandidate[];
    };

/**
 * Exactly one disk, or the problem: INSTALL_DISK_NONE, INSTALL_DISK_AMBIGUOUS, INSTALL_DISK_READ_ONLY,
 * INSTALL_DISK_TOO_SMALL. The candidates are all disks, in the order given, each with its reason.
 */
export function selectDisk(
  selector: DiskSelector,
  disks: readonly Disk[],
  { excluded = new Map(), sizeBytesMin = 0 }: SelectOptions = {},
): Selection {
  const why = new Map(disks.map((disk) => [disk, against(selector, disk, excluded)]));
  const matching = disks.filter((disk) => why.get(disk) === null);
  const candidates = disks.map((disk) =>
    candidate(disk, why.get(disk) ?? null, matching, sizeBytesMin),
  );
  const problem = problemOf(selector, matching, candidates, sizeBytesMin);
  const [chosen] = matching;
  if (problem === null && chosen !== undefined) return { chosen, problem, candidates };
  return { chosen: null, problem: problem ?? none(selector, candidates), candidates };
}

/** Null: it is meant. */
function against(
  selector: DiskSelector,
  disk: Disk,
  excluded: ReadonlyMap<string, string>,
): string | null {
  const never = excluded.get(disk.name);
  if (never !== undefined) return never;
  const found = mismatches(selector, disk);
  if (found.length > 0) return found.join('; ');
  const named = selector.byId ?? selector.serial ?? selector.wwn;
  if (disk.removable === true && named === undefined)
    return 'it is removable, and meant only where the plan names it by id, serial or WWN';
  return null;
}

function candidate(
  disk: Disk,
  why: string | null,
  matching: readonly Disk[],
  sizeBytesMin: number,
): InstallCandidate {
  const reason = why ?? reasonOf(disk, matching, sizeBytesMin);
  return { disk, matches: why === null, reason: reason.slice(0, 512) };
}

function reasonOf(disk: Disk, matching: readonly Disk[], sizeBytesMin: number): string {
  const others = matching.filter((each) => each !== disk).map(({ name }) => name);
  if (disk.readOnly === true) return 'the plan means it, but it is read-only';
  if (disk.sizeBytes < sizeBytesMin)
    return `the plan means it, but it has ${disk.sizeBytes} of ${sizeBytesMin} bytes`;
  return others.length > 0
    ? `the plan means it, and ${others.join(', ')} too`
    : 'the plan means it';
}

function problemOf(
  selector: DiskSelector,
  matching: readonly Disk[],
  candidates: readonly InstallCandidate[],
  sizeBytesMin: number,
): BilletError | null {
  const [first, second] = matching;
  if (first === undefined) return none(selector, candidates);
  const details = { candidates };
  if (second !== undefined)
    return new BilletError(
      'INSTALL_DISK_AMBIGUOUS',
      `${matching.length} disks are ${describeSelector(selector)}: ${matching.map(({ name }) => name).join(', ')}`,
      { hint: 'narrow the disk selector of the class or node, best by byId or serial', details },
    );
  if (first.readOnly === true)
    return new BilletError('INSTALL_DISK_READ_ONLY', `${first.name} is read-only`, {
      hint: 'lift its write protection, or let the plan name another disk',
      details,
    });
  if (first.sizeBytes < sizeBytesMin)
    return new BilletError(
      'INSTALL_DISK_TOO_SMALL',
      `${first.name} has ${first.sizeBytes} bytes, the profile needs ${sizeBytesMin}`,
      { hint: 'let the plan name a larger disk, e.g. by sizeBytesMin', details },
    );
  return null;
}

function none(selector: DiskSelector, candidates: readonly InstallCandidate[]): BilletError {
  const there = candidates.length === 0 ? ': there is none at all' : `, of ${candidates.length}`;
  return new BilletError('INSTALL_DISK_NONE', `no disk is ${describeSelector(selector)}${there}`, {
    hint: 'mend the disk selector of the class or node, or attach the disk; it is looked for again',
    details: { candidates },
  });
}
