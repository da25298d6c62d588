// Which generation does this boot take up? Pure: from what the coordinator says and what earlier
// boots left.

import type { Digest } from '#shared/digest.ts';
import type { Code } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { BootRecord } from './boot-record.ts';

/** So many boots may a generation begin without turning good. */
export const TRIAL_BOOTS_MAX = 2;
/** So often does one boot try the wanted generation before it tries the last good one. */
export const ATTEMPTS_MAX = 4;

/**
 * What is wrong with the content that was signed, or with what was asked for: another attempt ends the
 * same. Everything else may be mended, by a registry, a network or a disk (DIGEST_MISMATCH among it: a
 * flipped bit on the way), and says nothing of the generation.
 */
const OF_GENERATION: ReadonlySet<Code> = new Set<Code>([
  'COMPOSEFS_FORMAT',
  'CONFIG_INVALID',
  'KERNEL_MISMATCH',
  'LAYER_TOO_LARGE',
  'MERGE_CONFLICT',
  'MODULE_INVALID',
  'OCI_INVALID',
  'PATH_ESCAPE',
  'SIGNATURE_INVALID',
  'SIGNATURE_MISSING',
  'TAR_INVALID',
  'VERSION_REFUSED',
]);

/** Whether one such failure is enough to reject a generation for good. */
export const rejectsAtOnce = (code: Code): boolean => OF_GENERATION.has(code);

/**
 * Whether the next attempt is the last good generation's, after so many failures with one wanted
 * generation. It gets one attempt between rounds of the wanted one: it may be what cannot be had.
 */
export const yieldsToGood = (failures: number): boolean =>
  failures % (ATTEMPTS_MAX + 1) === ATTEMPTS_MAX;

export interface Choice {
  readonly desired: Desired;
  /** desired: what is wanted; good: the last good one, since the wanted one was rejected or yields. */
  readonly why: 'desired' | 'good';
  /** What this machine gives up on now. */
  readonly rejects: { readonly generation: number; readonly reason: string } | null;
}

export interface Candidates {
  readonly desired: Desired;
  /** Generations that the coordinator lists as rejected. */
  readonly rejected: readonly number[];
  /** The coordinator's last good one, else this machine's own; null before the first. */
  readonly good: Desired | null;
  readonly record: BootRecord;
  /** The good one's turn in this boot (`yieldsToGood`); rejects nothing. */
  readonly yields: boolean;
  /** The boot image that runs, where it was started from a slot; null elsewhere. */
  readonly slot: RunningSlot | null;
}

export interface RunningSlot {
  readonly manifest: Digest | null;
  /** Whether the wanted boot image was started from the other slot, in vain. */
  readonly failed: boolean;
}

/** Without a good generation the wanted one is tried again and again: a machine is never given up. */
export function chooseGeneration(candidates: Candidates): Choice {
  const { desired, rejected, good, record, yields, slot } = candidates;
  const { generation } = desired;
  if (good === null || good.generation === generation || record.good?.generation === generation)
    return { desired, why: 'desired', rejects: null };
  const known = rejected.includes(generation) || isRejected(record, generation);
  if (known) return { desired: good, why: 'good', rejects: null };
  const image = desired.bootImage?.manifest;
  if (slot?.failed === true) {
    const reason = `its boot image ${image} did not come up: the loader went back to the other slot`;
    return { desired: good, why: 'good', rejects: { generation, reason } };
  }
  // Its boot image is written to the other slot first, by what runs well.
  const elsewhere = slot !== null && image !== undefined && image !== slot.manifest;
  if (elsewhere && good.bootImage?.manifest === slot.manifest)
    return { desired: good, why: 'good', rejects: null };
  const boots = record.trial?.generation === generation ? record.trial.boots : 0;
  if (boots < TRIAL_BOOTS_MAX)
    return yields
      ? { desired: good, why: 'good', rejects: null }
      : { desired, why: 'desired', rejects: null };
  const reason = `${boots} boots began with it and none of them turned good`;
  return { desired: good, why: 'good', rejects: { generation, reason } };
}

/** The record with one more rejected generation. */
export function withRejected(
  record: BootRecord,
  rejects: { readonly generation: number; readonly reason: string },
): BootRecord {
  if (isRejected(record, rejects.generation)) return record;
  const rejected = [...record.rejected, rejects].slice(-64);
  return { ...record, rejected, trial: null };
}

/**
 * The record as a boot with `generation` begins. One that is good already is not on trial, and leaves
 * the count of the one that it stands in for.
 */
export function withTrial(record: BootRecord, generation: number): BootRecord {
  if (record.good?.generation === generation)
    return record.trial?.generation === generation ? { ...record, trial: null } : record;
  const before = record.trial?.generation === generation ? record.trial.boots : 0;
  return { ...record, trial: { generation, boots: before + 1 } };
}

/** Numbers of another history mean nothing here; floors hold whoever coordinates. */
export function inHistory(record: BootRecord, history: string): BootRecord {
  if (record.history === history) return record;
  return { ...record, history, trial: null, rejected: [], good: null };
}

const isRejected = ({ rejected }: BootRecord, generation: number): boolean =>
  rejected.some((each) => each.generation === generation);
