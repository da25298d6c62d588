// The agent's whole link: session, channel, heartbeats, desired state and renewal, wired so that a
// renewed certificate is used at once. One of them per agent.

import { X509Certificate } from 'node:crypto';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Heartbeat, HeartbeatReply } from '#shared/schema/heartbeat.ts';
import type { Host } from '../drivers/host.ts';
import type { Log } from '../drivers/journal.ts';
import type { Enrolled } from '../identity/ensure-enrolled.ts';
import { EXPIRED_SPREAD_MS, ROTATED_SPREAD_MS, renewal } from '../identity/renewal.ts';
import { renew } from '../identity/survivor.ts';
import { isOutdated } from '../identity/trust.ts';
import { pulse } from '../report/pulse.ts';
import { channel } from './channel.ts';
import { desiredFile } from './desired.ts';
import { type DesiredLoop, desiredLoop } from './desired-loop.ts';
import { openSession, type Session } from './session.ts';

export interface LinkDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly host: Host;
  readonly enrolled: Enrolled;
  readonly stateDir: string;
  readonly buildHeartbeat: () => Promise<Heartbeat>;
  readonly onReply: (reply: HeartbeatReply) => void;
  readonly onDesired: () => void;
  readonly onTasks: () => void;
}

export interface LinkState {
  readonly connected: boolean;
  /** RFC 3339; null before the first. */
  readonly lastReplyAt: string | null;
  /** Why the last attempt failed; null while all is well. */
  readonly problem: string | null;
  readonly certificateNotAfter: string;
}

export interface DaemonLink {
  readonly desired: DesiredLoop;
  /** STATE_CORRUPT, when the desired state on disk was damaged. */
  readonly damage: readonly BilletError[];
  session(): Session;
  state(): LinkState;
  /** A heartbeat now. */
  pulse(): void;
  /** Runs until `signal` aborts, and then rejects with its reason. */
  run(signal: AbortSignal): Promise<never>;
  /** One last heartbeat, if it can be had; then all connections end. */
  goodbye(signal: AbortSignal): Promise<void>;
}

/** What there may be a problem with, each until it works again. */
type Source = 'heartbeat' | 'desired' | 'renewal' | 'channel';

export async function openLink(deps: LinkDeps): Promise<DaemonLink> {
  const { clock, random, log, stateDir } = deps;
  const { key } = deps.enrolled;
  let { credentials } = deps.enrolled;
  let session = sessionOf();
  let lastReplyAt: number | null = null;
  const problems = new Map<Source, string>();

  function sessionOf(): Session {
    const { identity, ca, certificate } = credentials;
    return openSession({
      coordinator: identity.coordinator,
      ca,
      client: { certificate, key: key.pem },
    });
  }

  const say = (source: Source, error: unknown): void => {
    if (error === null) {
      problems.delete(source);
      return;
    }
    // The coordinator's clock decides: this machine's may be behind.
    if (error instanceof BilletError && error.code === 'CERTIFICATE_EXPIRED')
      renewing.demand(EXPIRED_SPREAD_MS);
    const text = error instanceof Error ? error.message : String(error);
    // Once for each new reason: an outage of a day is not a journal full of it.
    const known = [...problems.values()].includes(text);
    problems.set(source, text);
    // Without a channel heartbeats go over HTTP: it is no failure.
    if (!known && source === 'channel') log.info(text);
    else if (!known) log.fail(error);
  };

  const socket = channel({
    clock,
    random,
    session: () => session,
    onNudge: (what) => (what === 'desired' ? desired.wake() : deps.onTasks()),
    onState: (reason) => {
      if (reason === null) log.info('the channel is open');
      say('channel', reason && new Error(`the channel: ${reason}; heartbeats go over HTTP`));
    },
  });

  const file = desiredFile(stateDir);
  const desired = await desiredLoop({
    clock,
    random,
    client: () => session.client,
    instance: credentials.identity.instance,
    file,
    onChange: deps.onDesired,
    onState: (error) => say('desired', error),
  });

  const beat = pulse({
    clock,
    random,
    build: deps.buildHeartbeat,
    send: socket.heartbeat,
    onError: (error) => say('heartbeat', error),
    onReply(reply) {
      // Back, or here for the first time: reports may wait.
      if (problems.has('heartbeat') || lastReplyAt === null) deps.onTasks();
      lastReplyAt = clock.now();
      say('heartbeat', null);
      desired.compare(reply.desired);
      if (isOutdated(credentials, reply.trusted)) renewing.demand(ROTATED_SPREAD_MS);
      deps.onReply(reply);
    },
  });

  async function renewCertificate(signal: AbortSignal) {
    const facts = await deps.host.facts();
    const current = { key, credentials };
    credentials = await renew(current, stateDir, facts, signal);
    const old = session;
    session = sessionOf();
    socket.reconnect();
    await old.close();
    say('renewal', null);
    log.info('the certificate was renewed');
    return credentials;
  }

  const renewing = renewal({
    clock,
    random,
    current: () => credentials,
    renew: renewCertificate,
    onFailure: (error) => say('renewal', error),
  });

  return {
    desired,
    damage: file.damage,
    session: () => session,
    state: () => ({
      connected: socket.connected,
      lastReplyAt: lastReplyAt === null ? null : new Date(lastReplyAt).toISOString(),
      problem: [...problems.values()][0] ?? null,
      certificateNotAfter: notAfterOf(credentials.certificate),
    }),
    pulse: beat.wake,

    async run(signal) {
      return await Promise.race([
        socket.run(signal),
        desired.run(signal),
        beat.run(signal),
        renewing.run(signal),
      ]);
    },

    async goodbye(signal) {
      try {
        await socket.heartbeat(await deps.buildHeartbeat(), signal);
      } catch (error) {
        log.info(`no goodbye: ${error instanceof Error ? error.message : String(error)}`);
      }
      await session.close();
    },
  };
}

const notAfterOf = (pem: string): string => new X509Certificate(pem).validToDate.toISOString();
