// The running agent: puts link, reconcile loop, tasks and reports together and runs them until it is
// told to stop. What they stand on (store, systemd, clock) comes from main.

import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import type { Digest } from '#shared/digest.ts';
import type { Marker, MarkerValue } from '#shared/markers.ts';
import type { Condition, HeartbeatReply, ModuleState } from '#shared/schema/heartbeat.ts';
import { openCordon } from './drain/cordon.ts';
import { type DrainSites, drainTasks } from './drain/open.ts';
import type { Exec } from './drivers/exec.ts';
import type { Host } from './drivers/host.ts';
import type { Log } from './drivers/journal.ts';
import type { Notify } from './drivers/notify.ts';
import type { BootedSlot } from './handover.ts';
import type { Enrolled } from './identity/ensure-enrolled.ts';
import { readEnvelope } from './link/desired.ts';
import { type DaemonLink, openLink } from './link/link.ts';
import { reportQueue } from './link/queue.ts';
import { conditionOf } from './reconcile/conditions.ts';
import { type LoopStatus, reconcileLoop } from './reconcile/loop.ts';
import type { ReconcilePorts } from './reconcile/ports.ts';
import { runProbe } from './reconcile/probes.ts';
import { journalOrAnew } from './reconcile/recover-journal.ts';
import { services } from './reconcile/services.ts';
import { openState, type StateFiles } from './reconcile/state.ts';
import { describe } from './reconcile/steps.ts';
import type { Observed } from './reconcile/world.ts';
import { buildHeartbeat, slotNews } from './report/heartbeat.ts';
import { type Notices, preemptionWatch } from './report/preemption.ts';
import { STATUS_SOCKET, serveStatus } from './report/status-socket.ts';
import { runAll } from './run-all.ts';
import { collectLogsTask } from './tasks/collect-logs.ts';
import { taskLoop } from './tasks/loop.ts';
import { rebootTask } from './tasks/reboot.ts';
import { reconcileTask } from './tasks/reconcile.ts';
import { runProbeTask } from './tasks/run-probe.ts';
import { watchdog } from './watchdog.ts';

/** What was booted, as the hand-over says. */
export interface Booted {
  readonly systemImage: Digest;
  readonly generation: number;
  readonly modules: readonly ModuleState[];
  /** Null where it was not started from a boot slot. */
  readonly slot: BootedSlot | null;
}

/** What the store adapter needs of the agent's memory and link, which exist before it. */
export interface PortsContext {
  readonly state: StateFiles;
  readonly link: DaemonLink;
}

export interface DaemonDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly notify: Notify;
  /** Prints a marker on console and journal. */
  readonly mark: (stage: Marker, fields: Record<string, MarkerValue>) => void;
  readonly host: Host;
  readonly exec: Exec;
  readonly enrolled: Enrolled;
  readonly stateDir: string;
  readonly runDir: string;
  /** Null on a system that Billet did not boot. */
  readonly booted: Booted | null;
  readonly openPorts: (context: PortsContext) => Promise<ReconcilePorts>;
  /** Of the boot and of the store. */
  readonly conditions: () => readonly Condition[];
  readonly notices: Notices;
  /** Where a drain looks, if not where Debian has things. */
  readonly sites?: DrainSites;
}

const GOODBYE_MS = 3_000;

/** Runs until `signal` aborts, and then says goodbye and returns. Throws a defect of any loop. */
export async function runDaemon(deps: DaemonDeps, signal: AbortSignal): Promise<void> {
  const { clock, random, log, notify, host, exec, stateDir, runDir, booted } = deps;
  const { instance } = deps.enrolled.credentials.identity;
  const bootId = await host.bootId();
  const state = await openState({ stateDir, runDir });
  const { journal, damage: lost } = await journalOrAnew(join(runDir, 'journal'));
  const queue = reportQueue(join(stateDir, 'reports'));
  const cordon = await openCordon(stateDir);
  const damage = () => [...lost, ...[state, queue, link, cordon].flatMap((each) => each.damage)];

  let confirmed: number | null = null;
  let stopping = false;
  let readySince: number | null = null;
  const complain = (error: unknown) => log.fail(error);

  const onNotice = () => link.pulse();
  const preemption = preemptionWatch({ clock, notices: deps.notices, onNotice, onError: complain });
  const link = await openLink({
    clock,
    random,
    log,
    host,
    enrolled: deps.enrolled,
    stateDir,
    buildHeartbeat: async () =>
      buildHeartbeat({
        bootId,
        vitals: await host.vitals(),
        status: loop.status,
        systemImage: booted?.systemImage ?? null,
        slot: booted?.slot ? slotNews(booted.slot) : null,
        conditions: [...deps.conditions(), ...damage().map(conditionOf)],
        preemption: preemption.notice(),
        stopping,
      }),
    onReply,
    onDesired: () => {
      // What was confirmed may have been of another history: the next reply says it again.
      confirmed = null;
      loop.wake();
      link.pulse();
    },
    onTasks: () => tasks.wake(),
  });
  for (const each of damage()) log.fail(each);
  const ports = await deps.openPorts({ state, link });
  const attached = services({
    modules: ports.modules,
    units: ports.units,
    mounts: ports.mounts,
    runDir,
    probe: probeAll,
  });

  async function probeAll(
    { probes }: { readonly probes: Parameters<typeof runProbe>[0][] },
    probing: AbortSignal,
  ): Promise<void> {
    for (const probe of probes) await runProbe(probe, { clock, units: ports.units }, probing);
  }

  const loop = reconcileLoop({
    clock,
    instance,
    ports,
    services: attached,
    state,
    journal,
    booted: await bootedSystem(deps, state, link),
    merged: booted?.modules ?? [],
    bootedGeneration: booted?.generation ?? 0,
    probe: probeAll,
    document: () => link.desired.document,
    confirmed: () => confirmed,
    held: () => cordon.held,
    onStatus,
    onDone(step) {
      log.info(describe(step), { BILLET_STEP: step.kind });
      if (step.kind === 'attach-service' || step.kind === 'reattach-service')
        deps.mark('attached', { module: step.module.name, version: step.module.version });
      if (step.kind === 'detach-service') deps.mark('detached', { module: step.name });
    },
  });

  const tasks = taskLoop({
    clock,
    client: () => link.session().client,
    queue,
    bootId,
    kinds: [
      rebootTask({ exec, stateDir, bootId }),
      reconcileTask({ order: (...wanted) => loop.order(...wanted) }),
      collectLogsTask({ exec }),
      runProbeTask({
        probe: (probe, task) => runProbe(probe, { clock, units: ports.units }, task),
      }),
      ...drainTasks({ ...deps, bootId, cordon, loop, services: attached, units: ports.units }),
    ],
    onError: complain,
  });

  function onReply(reply: HeartbeatReply): void {
    if (reply.confirmed !== confirmed) {
      confirmed = reply.confirmed;
      loop.wake();
    }
    if (reply.tasks > 0) tasks.wake();
  }

  function onStatus(status: LoopStatus): void {
    notify.status(`${status.phase}, generation ${status.generation}`);
    if (status.phase === 'ready' && readySince === null) {
      readySince = clock.monotonic();
      deps.mark('ready', { generation: status.generation, instance });
    }
    link.pulse();
  }

  const status = () => ({
    instance,
    coordinator: deps.enrolled.credentials.identity.coordinator,
    bootId,
    stopping,
    ...loop.status,
    conditions: [...deps.conditions(), ...damage().map(conditionOf), ...loop.status.conditions],
    confirmed,
    link: link.state(),
  });

  await runAll(
    [
      loop.run,
      link.run,
      tasks.run,
      preemption.run,
      (end) => watchdog(clock, notify, end),
      (end) => {
        const path = join(runDir, STATUS_SOCKET);
        return serveStatus({ path, status, plan: loop.plan }, end);
      },
    ],
    () => notify.ready(),
    signal,
  );

  stopping = true;
  notify.stopping();
  await link.goodbye(AbortSignal.timeout(GOODBYE_MS));
  await journal.close();
}

/** The hand-over does not name the boot image: the desired state that was booted does. */
async function bootedSystem(
  { booted, enrolled }: DaemonDeps,
  state: StateFiles,
  link: DaemonLink,
): Promise<Observed['booted']> {
  if (booted === null) return null;
  const { document } = link.desired;
  const { instance } = enrolled.credentials.identity;
  const desired = document === null ? null : readEnvelope(document.reply.envelope, instance);
  if (desired?.generation === booted.generation)
    await state.updateRun({ bootImage: desired.bootImage?.manifest ?? null });
  // The slot knows better which one it was.
  const bootImage = booted.slot?.manifest ?? state.run.bootImage;
  const { systemImage, modules } = booted;
  return { systemImage, bootImage, manifests: modules.map(({ manifest }) => manifest).sort() };
}
