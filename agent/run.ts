// `run`: finds out where the agent stands (booted by Billet, or on a system that was there before),
// enrolls, opens store and drivers, and runs the daemon.

import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Marker, type MarkerValue, markerLine } from '#shared/markers.ts';
import type { CloudMachine } from '#shared/schema/facts.ts';
import type { Condition } from '#shared/schema/heartbeat.ts';
import type { Identity, SourceIdentity } from '#shared/schema/identity.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import { type AgentConfig, loadPolicy } from './config.ts';
import { type Booted, type PortsContext, runDaemon } from './daemon.ts';
import { containerNames } from './drain/containers.ts';
import { docker } from './drain/docker.ts';
import { hostExec } from './drivers/exec.ts';
import { type Host, linuxHost } from './drivers/host.ts';
import type { Log } from './drivers/journal.ts';
import { hostMountTable } from './drivers/mount-table.ts';
import { hostMounts } from './drivers/mounts.ts';
import { hostNodeSettings } from './drivers/node-settings.ts';
import { systemdPower } from './drivers/power.ts';
import { systemdUnits } from './drivers/units.ts';
import { enrollWithRetry, ownIdentity } from './enroll.ts';
import { type Handover, readHandover, runPaths } from './handover.ts';
import { claimFields, type ShownClaim } from './identity/claim.ts';
import type { AgentIo } from './io.ts';
import { readEnvelope } from './link/desired.ts';
import { moduleSource } from './link/module-source.ts';
import { systemdDetached } from './nix/drivers/detached.ts';
import { hostNix } from './nix/drivers/nix.ts';
import { openNixState } from './nix/switch-record.ts';
import { nixSystem } from './nix/system.ts';
import { conditionOf } from './reconcile/conditions.ts';
import { type StoreModules, storeModules } from './reconcile/store-modules.ts';
import { cloudNotices } from './report/cloud-notices.ts';
import { keptSlots } from './slots/open.ts';
import { openStore } from './store/open-store.ts';

/** Runs until `signal` aborts. Throws what keeps the agent from running; systemd starts it again. */
export async function run(config: AgentConfig, io: AgentIo, signal: AbortSignal): Promise<void> {
  const { clock, random, log, notify } = io;
  const linux = linuxHost({ architecture: io.architecture });
  const ground = await groundOf(config, await linux.bootId(), signal);
  const units = systemdUnits({ exec: hostExec });
  const containers = containerNames(docker({ exec: hostExec, units }), clock);
  const host = knowing(linux, ground, containers);
  const mark = marker(log, ground.handover !== null);
  const { instance = 'none' } = ground.identity;
  mark('agent-start', { instance, generation: ground.generation });
  await mkdir(ground.runDir, { recursive: true, mode: 0o700 });

  const onClaim = (shown: ShownClaim) => mark('claim', claimFields(shown));
  const { identity: source, stateDir: dir } = ground;
  const request = { identity: source, dir, facts: host.facts, onClaim };
  const enrolled = await enrollWithRetry(request, io, signal);
  const { identity } = enrolled.credentials;
  const store = await openStore({ dir: ground.storeDir });
  const nixState = await openNixState(ground.stateDir);
  const nixDamage = nixState.damage.map(conditionOf);
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
        notices: cloudNotices({ root: '/', urls: config.metadata, clock }),
        conditions: () => [
          ...ground.conditions,
          ...nixDamage,
          ...(modules?.conditions() ?? store.conditions),
        ],
        openPorts: async ({ state, link }: PortsContext) => {
          const good = () => state.record.good?.envelope;
          const sourceFor = moduleSource({
            session: link.session,
            stateDir: ground.stateDir,
            clock,
            random,
          });
          modules = storeModules({
            store,
            booted: new Set(ground.handover?.modules.map(({ manifest }) => manifest)),
            policy: ground.policy,
            floors: () => state.record.floors,
            exempt: () => new Set(manifestsOf(good(), identity)),
            sourceOf: sourceFor,
          });
          return {
            modules,
            nix: nixSystem({
              ...{ clock, state: nixState, root: '/' },
              nix: hostNix({ exec: hostExec, root: '/', netrc: join(ground.stateDir, 'netrc') }),
              detached: systemdDetached({ exec: hostExec }),
              keys: ground.policy.nixKeys ?? [],
            }),
            slots: keptSlots(ground.handover?.slot, {
              ...{ clock, mark, stateDir: ground.stateDir, runDir: ground.runDir },
              fetch: {
                ...{ sourceFor, policy: ground.policy },
                floor: (name) => state.record.floors[name],
                exempt: () => new Set(manifestsOf(good(), identity)),
              },
            }),
            units,
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
  readonly identity: SourceIdentity;
  readonly cloud: CloudMachine | undefined;
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
    const { identity, cloud, generation, conditions, data } = handover;
    const { state: stateDir, store: storeDir, run: runDir } = paths;
    const keySurvives = data === 'persist';
    return {
      handover,
      identity,
      cloud,
      generation,
      policy,
      stateDir,
      storeDir,
      runDir,
      keySurvives,
      conditions,
    };
  }
  const { identity, cloud } = await ownIdentity(config, signal);
  const { stateDir, storeDir, runDir, trustPolicy } = config;
  const policy = await loadPolicy(trustPolicy);
  const conditions = [BOOT_UNVERIFIED];
  return {
    ...{ handover: null, identity, cloud, generation: 0, policy, conditions },
    ...{ stateDir, storeDir, runDir, keySurvives: true },
  };
}

const BOOT_UNVERIFIED: Condition = {
  code: 'BOOT_UNVERIFIED',
  text: 'this system was not booted by Billet: its own files are not verified',
  hint: 'boot it from a Billet boot image under Secure Boot',
};

/** The machine as it says itself, with what only this agent knows of it. */
const knowing = (
  host: Host,
  { keySurvives, cloud }: Ground,
  containers: ReturnType<typeof containerNames>,
): Host => ({
  ...host,
  vitals: async () => ({ ...(await host.vitals()), ...(await containers()) }),
  facts: async () => ({
    ...(await host.facts()),
    keySurvives,
    ...(cloud === undefined ? {} : { cloud }),
  }),
});

function bootedOf(handover: Handover | null): Booted | null {
  if (handover === null) return null;
  const { systemImage, generation, modules, slot = null } = handover;
  return { systemImage, generation, modules, slot };
}

function manifestsOf(envelope: Parameters<typeof readEnvelope>[0] | undefined, identity: Identity) {
  if (envelope === undefined) return [];
  const { modules, bootImage } = readEnvelope(envelope, identity.instance);
  return [...modules, ...(bootImage === null ? [] : [bootImage])].map(({ manifest }) => manifest);
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
