// Who this machine is and its certificate, on a system that runs: for `enroll`, and for `run` before
// its loop. The boot stage has its own way to the same functions, under boot/.

import { BilletError } from '#shared/errors.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { SourceIdentity } from '#shared/schema/identity.ts';
import type { AgentConfig } from './config.ts';
import { linuxHost } from './drivers/host.ts';
import type { ShownClaim } from './identity/claim.ts';
import { type Discovered, discoverIdentity } from './identity/discover.ts';
import {
  type Enrolled,
  ensureEnrolled,
  keptIdentity,
  recallInstance,
} from './identity/ensure-enrolled.ts';
import { standardStrategies } from './identity/strategies.ts';
import type { IdentityStrategy } from './identity/strategy.ts';
import type { AgentIo } from './io.ts';
import { backoffMs } from './link/backoff.ts';

const RETRY = { baseMs: 2_000, capMs: 120_000 };
/** systemd gives up on a start that takes longer than it was told. */
const START_EXTENDED_MS = 60_000;

export interface EnrollRequest {
  /** Instead of the usual ones. */
  readonly strategy: IdentityStrategy | null;
  readonly onClaim: (shown: ShownClaim) => void;
}

/** Enrolls and returns; what is valid already stays. */
export async function enroll(
  { stateDir: dir, metadata, identityFile }: AgentConfig,
  { strategy, onClaim }: EnrollRequest,
  { clock, architecture }: AgentIo,
  signal: AbortSignal,
): Promise<Enrolled> {
  const strategies =
    strategy === null ? standardStrategies({ urls: metadata, identityFile }) : [strategy];
  const { identity, cloud } = await discoverIdentity(strategies, signal);
  const facts = await linuxHost({ architecture }).facts();
  const own: Facts = { ...facts, keySurvives: true, ...(cloud === undefined ? {} : { cloud }) };
  return await ensureEnrolled({ identity, facts: own, dir, clock, onClaim }, signal);
}

/** What a source says, else what an earlier enrollment left: its source may be gone. */
export async function ownIdentity(
  { stateDir, metadata: urls, identityFile }: AgentConfig,
  signal: AbortSignal,
): Promise<Omit<Discovered, 'source'>> {
  try {
    const found = await discoverIdentity(standardStrategies({ urls, identityFile }), signal);
    return { ...found, identity: await recallInstance(found.identity, stateDir) };
  } catch (error) {
    const silent = ['IDENTITY_MISSING', 'METADATA_FAILED'];
    if (!(error instanceof BilletError) || !silent.includes(error.code)) throw error;
    const identity = await keptIdentity(stateDir);
    if (identity === null) throw error;
    return { identity };
  }
}

export interface RetryRequest {
  readonly identity: SourceIdentity;
  readonly dir: string;
  readonly facts: () => Promise<Facts>;
  readonly onClaim: (shown: ShownClaim) => void;
}

/** Tries until it works, or until trying again cannot help. */
export async function enrollWithRetry(
  { identity, dir, facts, onClaim }: RetryRequest,
  { clock, random, log, notify }: AgentIo,
  signal: AbortSignal,
): Promise<Enrolled> {
  const onWait = () => notify.extendStart(START_EXTENDED_MS);
  const show = (shown: ShownClaim) => {
    onClaim(shown);
    notify.status(`waits for an operator: billet claim approve ${shown.code} --node NAME`);
  };
  for (let attempt = 0; ; attempt++)
    try {
      const request = { identity, facts: await facts(), dir, clock, onClaim: show, onWait };
      return await ensureEnrolled(request, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BilletError) || !error.retryable) throw error;
      log.fail(error);
      notify.status(`not enrolled yet: ${error.message}`);
      await clock.sleep(RETRY.baseMs + backoffMs(attempt, random(), RETRY), signal);
    }
}
