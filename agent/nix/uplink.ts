// The way to the coordinator for commands that a person runs on a machine without an agent: its trust
// policy, who it is, and requests with its certificate. Enrolls where that was not done yet.

import { openUplink } from '../boot/uplink.ts';
import { type AgentConfig, loadPolicy } from '../config.ts';
import { linuxHost } from '../drivers/host.ts';
import { enrollWithRetry, ownIdentity } from '../enroll.ts';
import { showClaim } from '../enroll-by-hand.ts';
import type { AgentIo } from '../io.ts';

/** The caller closes the uplink. */
export async function uplinkByHand(
  config: AgentConfig,
  io: AgentIo,
  say: (line: string) => void,
  signal: AbortSignal,
) {
  const { clock, random } = io;
  const { stateDir } = config;
  const policy = await loadPolicy(config.trustPolicy);
  const host = linuxHost({ architecture: io.architecture });
  const { identity, cloud } = await ownIdentity(config, signal);
  const facts = async () => ({
    ...(await host.facts()),
    keySurvives: true,
    ...(cloud === undefined ? {} : { cloud }),
  });
  const about = { identity, dir: stateDir, facts, onClaim: showClaim(say) };
  const enrolled = await enrollWithRetry(about, io, signal);
  const uplink = openUplink(enrolled, { stateDir, clock, random });
  return { policy, host, facts, instance: enrolled.credentials.identity.instance, uplink };
}
