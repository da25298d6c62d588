// `run` and `enroll`: finds out where the agent stands (booted by Billet, or on a system that was
// there before), opens store and drivers, and runs the daemon.

import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { type Marker, type MarkerValue, markerLine } from '#shared/markers.ts';
import type { Condition } from '#shared/schema/heartbeat.ts';
import type { Identity } from '#shared/schema/identity.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import { type AgentConfig, loadPolicy } from './config.ts';
import { type Booted, type PortsContext, runDaemon } from './daemon.ts';
import { hostExec } from './drivers/exec.ts';
import { type Host, linuxHost } from './drivers/host.ts';
import type { Log } from './drivers/journal.ts';
import { hostMountTable } from './drivers/mount-table.ts';
import { hostMounts } from './drivers/mounts.ts';
import { hostNodeSettings } from './drivers/node-settings.ts';
import type { Notify } from './drivers/notify.ts';
import { systemdPower } from './drivers/power.ts';
import { systemdUnits } from './drivers/units.ts';
import { type Handover, readHandover, runPaths } from './handover.ts';
import { loadCredentials } from './identity/credentials.ts';
import { discoverIdentity, standardStrategies } from './identity/discover.ts';
import { type Enrolled, ensureEnrolled } from './identity/ensure-enrolled.ts';
import { fileStrategy } from './identity/file.ts';
import { loadKey } from './identity/key.ts';
import { backoffMs } from './link/backoff.ts';
import { readEnvelope } from './link/desired.ts';
import { moduleSource } from './link/module-source.ts';
import { type StoreModules, storeModules } from './reconcile/store-modules.ts';
import { openStore } from './store/open-store.ts';

export interface AgentIo {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly notify: Notify;
  /** As uname(2) says. */
  readonly architecture: string;
}

const ENROLL_RETRY = { baseMs: 2_000, capMs: 120_000 };

/** Enrolls and returns; what is valid already stays. `file` instead of the usual strategies. */
export async function enroll(
  config: AgentConfig,
  file: string | null,
  io: AgentIo,
  signal: AbortSignal,
): Promise<Enrolled> {
  const strategies = file === null ? standardStrategies() : [fileStrategy({ paths: [file] })];
  const { identity } = await discoverIdentity(strategies, signal);
  const facts = await linuxHost({ architecture: io.architecture }).facts();
  return await ensureEnrolled(
    { identity, facts: { ...facts, keySurvives: true }, dir: config.stateDir, clock: io.clock },
    signal,
  );
}

/** Runs until `signal` aborts. Throws what keeps the agent from running; systemd starts it again. */
export async function run(config: AgentConfig, io: AgentIo, signal: AbortSignal): Promise<void> {
  const { clock, random, log, notify } = io;
  const host = linuxHost({ architecture: io.architecture });
  const ground = await groundOf(config, await host.bootId(), signal);
  const mark = marker(log, ground.handover !== null);
  mark('agent-start', { instance: ground.identity.instance, generation: ground.generation });
  await mkdir(ground.runDir, { recursive: true, mode: 0o700 });

  const enrolled = await enrollWithRetry(ground, host, io, signal);
  const store = await openStore({ dir: ground.storeDir });
  let modules: StoreModules | null = null;
  try {
    await runDaemon(
      {
        clock,
        random,
        log,
        notify,
        mark,
        host,
        exec: hostExec,
        enrolled,
        stateDir: ground.stateDir,
        runDir: ground.runDir,
        booted: bootedOf(ground.handover),
        conditions: () => [...ground.conditions, ...(modules?.conditions() ?? store.conditions)],
        openPorts: async ({ state, link }: PortsContext) => {
          const good = () => state.record.good?.envelope;
          modules = storeModules({
            store,
            policy: ground.policy,
            floors: () => state.record.floors,
            exempt: () => new Set(manifestsOf(good(), ground.identity)),
            sourceOf: moduleSource({ session: link.session, clock, random }),
          });
          return {
            modules,
            units: systemdUnits({ exec: hostExec }),
            mounts: hostMountTable(hostMounts()),
            settings: hostNodeSettings(),
            power: systemdPower({ exec: hostExec }),
          };
        },
      },
      signal,
    );
  } finally {
    await store.close();
  }
}

/** Where this agent stands: handed over by the boot stage, or on a system of its own. */
interface Ground {
  readonly handover: Handover | null;
  readonly identity: Identity;
  readonly generation: number;
  readonly policy: TrustPolicy;
  readonly stateDir: string;
  readonly storeDir: string;
  readonly runDir: string;
  readonly keySurvives: boolean;
  readonly conditions: readonly Condition[];
}

async function groundOf(config: AgentConfig, bootId: string, signal: AbortSignal): Promise<Ground> {
  const paths = runPaths(config.runDir);
  const handed = await readHandover(paths, bootId);
  if (handed !== null) {
    const { handover, policy } = handed;
    const { identity, generation, conditions, data } = handover;
    const { state: stateDir, store: storeDir, run: runDir } = paths;
    const keySurvives = data === 'persist';
    return {
      handover,
      identity,
      generation,
      policy,
      stateDir,
      storeDir,
      runDir,
      keySurvives,
      conditions,
    };
  }
  const identity = await ownIdentity(config, signal);
  const { stateDir, storeDir, runDir, trustPolicy } = config;
  const policy = await loadPolicy(trustPolicy);
  const conditions = [BOOT_UNVERIFIED];
  return {
    ...{ handover: null, identity, generation: 0, policy, conditions },
    ...{ stateDir, storeDir, runDir, keySurvives: true },
  };
}

/** What a source says, else what `enroll` left: it may have been given a file that is gone. */
async function ownIdentity({ stateDir }: AgentConfig, signal: AbortSignal): Promise<Identity> {
  try {
    return (await discoverIdentity(standardStrategies(), signal)).identity;
  } catch (error) {
    if (!(error instanceof BilletError) || error.code !== 'IDENTITY_MISSING') throw error;
    const key = await loadKey(stateDir);
    const kept = key === null ? null : await loadCredentials(stateDir, key);
    if (kept === null) throw error;
    return kept.identity;
  }
}

const BOOT_UNVERIFIED: Condition = {
  code: 'BOOT_UNVERIFIED',
  text: 'this system was not booted by Billet: its own files are not verified',
  hint: 'boot it from a Billet boot image under Secure Boot',
};

async function enrollWithRetry(
  { identity, stateDir, keySurvives }: Ground,
  host: Host,
  { clock, random, log, notify }: AgentIo,
  signal: AbortSignal,
): Promise<Enrolled> {
  for (let attempt = 0; ; attempt++)
    try {
      const facts = { ...(await host.facts()), keySurvives };
      return await ensureEnrolled({ identity, facts, dir: stateDir, clock }, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BilletError) || !error.retryable) throw error;
      log.fail(error);
      notify.status(`not enrolled yet: ${error.message}`);
      await clock.sleep(ENROLL_RETRY.baseMs + backoffMs(attempt, random(), ENROLL_RETRY), signal);
    }
}

function bootedOf(handover: Handover | null): Booted | null {
  if (handover === null) return null;
  const { systemImage, generation, modules } = handover;
  return { systemImage, generation, modules };
}

function manifestsOf(envelope: Parameters<typeof readEnvelope>[0] | undefined, identity: Identity) {
  if (envelope === undefined) return [];
  return readEnvelope(envelope, identity.instance).modules.map(({ manifest }) => manifest);
}

/** On the journal always, and on the console of a machine that Billet booted. */
function marker(log: Log, console: boolean) {
  return (stage: Marker, fields: Record<string, MarkerValue>): void => {
    const line = markerLine(stage, fields);
    log.info(line, { BILLET_STAGE: stage });
    if (console) writeConsole(`${line}\n`);
  };
}

function writeConsole(line: string): void {
  try {
    const fd = openSync('/dev/console', 'w');
    try {
      writeSync(fd, line);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    // Not every machine has a console, and not every sandbox shows it; the journal has the line.
    if (!(error instanceof Error && 'errno' in error)) throw error;
  }
}
