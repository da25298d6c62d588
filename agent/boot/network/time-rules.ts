// How far a time that nobody vouches for is believed. Pure.
//
// NTP without keys proves nothing: who sits on the segment says what time it is. Going back would bring old
// certificates to life, and is never done; going forward makes good ones look expired, which stops a boot and
// lets nobody in. So NTP may set a clock forward only, from the floor that the boot image and the kept
// certificate give, by at most the life of an image. And as soon as the coordinator proves itself, by the
// key of a certificate that a trusted CA signed, its word takes back what NTP did.

/** So long after its floor is a boot image still in use. */
export const IMAGE_LIFE_MS = 15 * 365.25 * 24 * 3_600_000;
/** A clock that is off by less is left to time synchronization. */
const CLOSE_MS = 2000;
/** A clock that is ahead by more is worth a word: certificates may look expired to it. */
const AHEAD_MS = 300_000;

export interface NtpQuestion {
  readonly unixMs: number;
  /** Of this machine, now. */
  readonly clockMs: number;
  /** What no right clock is behind. */
  readonly floorMs: number;
}

export type NtpVerdict =
  | { readonly kind: 'forward' }
  | { readonly kind: 'close' }
  | { readonly kind: 'refused'; readonly why: string };

export function judgeNtp({ unixMs, clockMs, floorMs }: NtpQuestion): NtpVerdict {
  if (unixMs < floorMs)
    return { kind: 'refused', why: `it says ${iso(unixMs)}, before ${iso(floorMs)}` };
  if (unixMs > floorMs + IMAGE_LIFE_MS)
    return { kind: 'refused', why: `it says ${iso(unixMs)}, too long after ${iso(floorMs)}` };
  if (unixMs < clockMs - AHEAD_MS)
    return {
      kind: 'refused',
      why: `it says ${iso(unixMs)}, and a clock is never set back to that`,
    };
  return { kind: unixMs > clockMs + CLOSE_MS ? 'forward' : 'close' };
}

/** Where the clock goes when a coordinator that proved itself has another time than NTP; null: nowhere. */
export function takenBack(question: {
  readonly clockMs: number;
  readonly coordinatorMs: number;
  /** By how much NTP has set the clock forward. */
  readonly shiftMs: number;
}): number | null {
  const { clockMs, coordinatorMs, shiftMs } = question;
  // Not further than where the clock would be by itself.
  const to = Math.max(coordinatorMs, clockMs - shiftMs);
  return to < clockMs - CLOSE_MS ? to : null;
}

const iso = (unixMs: number): string => new Date(unixMs).toISOString();
