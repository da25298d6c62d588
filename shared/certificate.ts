// The times of certificates, in Unix milliseconds. Pure: the agent renews and the coordinator issues
// by the same figures.

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

export const NODE_LIFETIME_MS = 30 * DAY_MS;
export const SERVER_LIFETIME_MS = 90 * DAY_MS;
export const CA_LIFETIME_MS = 3_650 * DAY_MS;

/** How long after its end a certificate that is not revoked still gets the next one. */
export const RENEW_GRACE_MS = 90 * DAY_MS;

/** Certificates begin this much before they are made: nodes' clocks are off by up to an hour. */
export const CLOCK_SKEW_MS = 90 * MINUTE_MS;

/** The moment to ask for the next certificate: two thirds of the way through this one. */
export function renewAt(notBefore: number, notAfter: number): number {
  return notBefore + Math.floor(((notAfter - notBefore) * 2) / 3);
}
