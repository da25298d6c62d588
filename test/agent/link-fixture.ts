// The part of an agent that speaks to the coordinator, without what it does on a machine: identity,
// key, channel, heartbeats and renewal, the real ones, in this process.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../agent/drivers/host.ts';
import type { Log } from '../../agent/drivers/journal.ts';
import { Credentials } from '../../agent/identity/credentials.ts';
import { ensureEnrolled } from '../../agent/identity/ensure-enrolled.ts';
import { type DaemonLink, openLink } from '../../agent/link/link.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import type { Identity } from '../../shared/schema/identity.ts';
import { FACTS, heartbeatOf } from '../coordinator/coordinator-fixture.ts';

export interface LinkedAgent {
  readonly link: DaemonLink;
  /** How the certificate at the start was come by. */
  readonly how: string;
  /** Messages and errors, as they came. */
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

export interface LinkOptions {
  readonly identity: Identity;
  /** Key and certificate: what survives. */
  readonly dir: string;
  readonly clock?: Clock;
}

const HOST: Host = {
  facts: async () => FACTS,
  vitals: async () => ({ uptimeSeconds: 1 }),
  bootId: async () => heartbeatOf().bootId,
};

/** Enrolls or comes back by its key, and keeps connected. Renews without a spread, where it has to. */
export async function startLink(options: LinkOptions): Promise<LinkedAgent> {
  const { identity, dir, clock = systemClock } = options;
  const stop = new AbortController();
  const lines: string[] = [];
  const log: Log = {
    info: (message) => lines.push(message),
    warn: (message) => lines.push(message),
    fail: (error) => lines.push(String(error)),
    close: async () => undefined,
  };
  const enrolled = await ensureEnrolled({ identity, facts: FACTS, dir, clock }, stop.signal);
  const link = await openLink({
    clock,
    random: () => 0,
    log,
    host: HOST,
    enrolled,
    stateDir: dir,
    buildHeartbeat: async () => heartbeatOf({ phase: 'ready' }),
    onReply: () => undefined,
    onDesired: () => undefined,
    onTasks: () => undefined,
  });
  const running = link.run(stop.signal).catch((error) => {
    if (!stop.signal.aborted) lines.push(`died: ${error}`);
  });
  return {
    link,
    how: enrolled.how,
    lines,
    async stop() {
      stop.abort();
      await running;
      await link.session().close();
    },
  };
}

/** What the agent of that directory would start with. */
export const credentialsIn = async (dir: string): Promise<Credentials> =>
  Credentials.parse(JSON.parse(await readFile(join(dir, 'enrollment.json'), 'utf8')));
