// The way in without a token: ask to be claimed, show the code, wait until an operator approves it.
// Goes on where it was after a restart of either side; a code that runs out is followed by another.

import type { RouteClient } from '#shared/client/route-client.ts';
import type { Clock } from '#shared/clock.ts';
import { createCsr } from '#shared/csr.ts';
import { type Digest, sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { openClaim, pollClaim } from '#shared/routes/claim.ts';
import type { ClaimStatus } from '#shared/schema/claim.ts';
import type { Facts } from '#shared/schema/facts.ts';
import { Identity, type SourceIdentity } from '#shared/schema/identity.ts';
import { type ClaimFile, loadClaim, newClaim, saveClaim } from './claim-file.ts';
import type { NodeKey } from './key.ts';

/** What a person compares: on the console here, and in `billet claim show` there. */
export interface ShownClaim {
  readonly code: string;
  /** SHA-256 of the public key. */
  readonly key: Digest;
  /** RFC 3339. */
  readonly expiresAt: string;
  /** Why the coordinator does not let it in by itself, in one word (shared/schema/claim.ts); null: not said. */
  readonly waits: string | null;
}

/** Of the marker. */
export const claimFields = ({ code, key, expiresAt, waits }: ShownClaim) => ({
  ...{ code, key, expires: expiresAt },
  ...(waits === null ? {} : { waits }),
});

const NEW_CLAIM_MS = 1_000;

export interface ClaimRequest {
  /** Trusts exactly the pinned CA; shows no client certificate. */
  readonly client: RouteClient;
  readonly source: SourceIdentity;
  readonly key: NodeKey;
  readonly facts: Facts;
  /** Where the key lies already, and the claim is kept. */
  readonly dir: string;
  readonly clock: Clock;
  /** Called for each code, for each other reason to wait, and once more after a restart. */
  readonly onClaim: (shown: ShownClaim) => void;
  /** Called after each answer, approved or not. */
  readonly onWait?: (() => void) | undefined;
}

/**
 * Who this machine is from now on, with the claim's secret as its token. Waits as long as it takes.
 * Throws CLAIM_DENIED, TOO_MANY_REQUESTS, LINK_DOWN: asking again later goes on with the same claim.
 */
export async function claimIdentity(request: ClaimRequest, signal: AbortSignal): Promise<Identity> {
  const { source, dir, clock, onClaim } = request;
  const key = sha256(request.key.publicKey.export({ type: 'spki', format: 'der' }));
  let claim = (await loadClaim(dir, source.ca)) ?? (await newClaim(dir, source.ca));
  let shown: string | null = null;
  for (;;) {
    const status = await ask(request, claim, signal);
    if (status === null) {
      // Never in a hot loop, whatever a coordinator says.
      await clock.sleep(NEW_CLAIM_MS, signal);
      claim = await newClaim(dir, source.ca);
      continue;
    }
    const { code, expiresAt, instance, waits } = status;
    if (claim.code !== code) claim = await saveClaim(dir, { ...claim, code });
    if (status.state === 'approved' && instance !== null)
      return Identity.parse({ ...source, instance, token: claim.secret });
    const seen = `${code} ${waits}`;
    if (shown !== seen) onClaim({ code, key, expiresAt, waits });
    shown = seen;
    request.onWait?.();
    await clock.sleep(status.pollSeconds * 1000, signal);
  }
}

/** Null when the coordinator no longer knows this claim: it ran out, or the store is another one. */
async function ask(
  { client, source, key, facts }: ClaimRequest,
  { secret, code }: ClaimFile,
  signal: AbortSignal,
): Promise<ClaimStatus | null> {
  try {
    const { instance } = source;
    const told = instance === undefined ? {} : { instance };
    const reply =
      code === null
        ? await client.call(openClaim, {
            body: { secret, csr: createCsr(key, null), facts, ...told },
            signal,
          })
        : await client.call(pollClaim, { body: { code, secret }, signal });
    if (reply !== null) return reply.body;
  } catch (error) {
    if (error instanceof BilletError && error.code === 'CLAIM_UNKNOWN') return null;
    throw error;
  }
  throw new BilletError('INTERNAL', 'the coordinator gave no claim and no error', {
    hint: 'look at the log of the coordinator',
  });
}
