// Rules of claims: who may ask, how many may wait, what may become of a code, and how fast. Pure; the
// records they are about are written in claim-writes.ts.

import type { Digest } from '#shared/digest.ts';
import { CLAIM_ALPHABET, ClaimCode, type ClaimState } from '#shared/schema/claim.ts';

const MINUTE_MS = 60_000;

/** How long a code may be approved; then the machine gets another one. */
export const OPEN_MS = 15 * MINUTE_MS;
/** How long the machine may take to enroll once it was approved. */
export const APPROVED_MS = 60 * MINUTE_MS;
/** How long a denied key is refused. */
export const DENIED_MS = 15 * MINUTE_MS;
/** Machines that wait at once. */
export const OPEN_MAX = 256;
/** Answered ones that are kept to be looked at; a machine whose answer is gone asks again. */
export const APPROVED_MAX = 256;
export const POLL_SECONDS = 3;
/** A claim that waits is compared with the nodes again at most this often: between, asking writes and reads nothing else. */
export const LOOK_AGAIN_MS = 10_000;

/** So many at once, and one more after each interval (a token bucket, RFC 2697 §1 in spirit). */
export interface Rate {
  readonly burst: number;
  readonly intervalMs: number;
}

export const RATES = {
  /** Claims from one address: a rack behind one, and no more. */
  address: { burst: 32, intervalMs: 10_000 },
  /** Claims from everywhere. */
  all: { burst: 128, intervalMs: 2_000 },
  /** Claims of machines that are expected, from everywhere: a row of racks after a power cut. */
  registered: { burst: 1024, intervalMs: 50 },
  /** Wrong codes by one credential: a person mistypes, a program guesses. */
  codes: { burst: 5, intervalMs: 12_000 },
} as const satisfies Record<string, Rate>;

export interface Bucket {
  readonly tokens: number;
  /** Monotonic milliseconds. */
  readonly at: number;
}

/** What is in the bucket now; a bucket that nobody used is full. */
export function refill(bucket: Bucket | undefined, rate: Rate, now: number): Bucket {
  if (bucket === undefined) return { tokens: rate.burst, at: now };
  const tokens = Math.min(rate.burst, bucket.tokens + (now - bucket.at) / rate.intervalMs);
  return { tokens, at: now };
}

/** Seconds until there is one again. */
export const waitSeconds = ({ tokens }: Bucket, { intervalMs }: Rate): number =>
  Math.max(1, Math.ceil(((1 - tokens) * intervalMs) / 1000));

/** One claim as the index of all of them has it. */
export interface Standing {
  readonly code: ClaimCode;
  readonly key: Digest;
  /** SHA-256 of the secret, hex. */
  readonly hash: string;
  readonly state: ClaimState;
  readonly expiresAt: number;
}

export type Admission =
  /** The same machine asks again: a reply was lost, or it restarted. */
  | { readonly kind: 'known'; readonly code: ClaimCode }
  | { readonly kind: 'denied'; readonly until: number }
  /** `over`: claims that end with it; `fullUntil`: there is room only for one that nobody waits for. */
  | {
      readonly kind: 'new';
      readonly fullUntil: number | null;
      readonly kept: readonly Standing[];
      readonly over: readonly Standing[];
    };

/** May this key, with this secret, have a claim? One key has one claim: a new secret replaces it. */
export function admit(
  standing: readonly Standing[],
  { key, hash }: Pick<Standing, 'key' | 'hash'>,
  now: number,
): Admission {
  const live = standing.filter(({ expiresAt }) => expiresAt > now);
  const own = live.find((each) => each.key === key);
  if (own?.state === 'denied') return { kind: 'denied', until: own.expiresAt };
  if (own?.hash === hash) return { kind: 'known', code: own.code };
  const others = live.filter((each) => each !== own);
  const open = others.filter(({ state }) => state === 'open');
  const approved = others
    .filter(({ state }) => state === 'approved')
    .sort((a, b) => a.expiresAt - b.expiresAt);
  const dropped = approved.slice(0, Math.max(0, approved.length - APPROVED_MAX + 1));
  const kept = others.filter((each) => !dropped.includes(each));
  const fullUntil =
    open.length >= OPEN_MAX ? Math.min(...open.map(({ expiresAt }) => expiresAt)) : null;
  return { kind: 'new', fullUntil, kept, over: standing.filter((each) => !kept.includes(each)) };
}

/** A code out of five random bytes: eight digits of five bits. */
export function codeOf(bytes: Uint8Array): ClaimCode {
  let bits = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  let code = '';
  for (let at = 0; at < 8; at += 1) {
    code = (CLAIM_ALPHABET[Number(bits % 32n)] ?? '') + code;
    bits /= 32n;
  }
  return ClaimCode.parse(code);
}
