// One pass of reconciling: choose the generation, observe, plan, apply, probe, judge. Keeps no time
// and repeats nothing; the loop does.

import { BilletError } from '#shared/errors.ts';
import type { Desired, Envelope } from '#shared/schema/desired.ts';
import type { Condition, Verdict } from '#shared/schema/heartbeat.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { ModuleLabel } from '#shared/schema/module.ts';
import { type DesiredDocument, readEnvelope } from '../link/desired.ts';
import { type ApplyDeps, apply } from './apply.ts';
import { type ObserveDeps, observe } from './observe.ts';
import { nodeSettings, plan, sameSystem, settingsKey, systemSetOf } from './plan.ts';
import { raiseFloors } from './state.ts';
import type { Step } from './steps.ts';
import { chooseGeneration, judge, rankFallbacks } from './verdict.ts';

export interface CycleDeps extends ObserveDeps, ApplyDeps {
  readonly instance: InstanceId;
  /** The generation that was booted; 0 without one. */
  readonly bootedGeneration: number;
  /** Runs all probes of a module; throws PROBE_FAILED. */
  readonly probe: (label: ModuleLabel, signal: AbortSignal) => Promise<void>;
}

export interface CycleInput {
  readonly document: DesiredDocument;
  /** The newest generation that the coordinator has seen ready, of its last heartbeat reply. */
  readonly confirmed: number | null;
  /** The generation whose probes have passed since this agent started. */
  readonly probed: number | null;
}

export interface CycleResult {
  readonly desired: Desired;
  readonly steps: readonly Step[];
  /** Its system runs, and is not only staged for the next boot. */
  readonly booted: boolean;
  /** Null when the generation runs as wanted. */
  readonly failure: BilletError | null;
  readonly verdict: Verdict | null;
  readonly conditions: readonly Condition[];
}

interface Candidate {
  readonly generation: number;
  readonly envelope: Envelope;
  readonly desired: Desired;
}

/** What would be done now. Changes nothing. */
export async function planNow(
  input: Pick<CycleInput, 'document'>,
  deps: CycleDeps,
  signal: AbortSignal,
): Promise<readonly Step[]> {
  const { chosen, others, leave } = choose(input.document, deps);
  return plan(wantedOf(chosen, others, leave, deps), await observe(chosen.desired, deps, signal));
}

/**
 * Throws only what keeps a plan from being made (BODY_INVALID, CONFIG_INVALID …) and the signal's
 * reason; a step or probe that failed is in the result.
 */
export async function runCycle(
  input: CycleInput,
  deps: CycleDeps,
  signal: AbortSignal,
): Promise<CycleResult> {
  const { state } = deps;
  await state.enterHistory(readEnvelope(input.document.reply.envelope, deps.instance).history);
  const { chosen, others, leave } = choose(input.document, deps);
  const { desired, generation } = chosen;
  const booted = deps.booted === null || sameSystem(systemSetOf(desired), deps.booted);
  const steps = plan(wantedOf(chosen, others, leave, deps), await observe(desired, deps, signal));
  const failed = await apply(generation, steps, deps, signal);
  const probeError =
    failed === null && input.probed !== generation ? await probeAll(desired, deps, signal) : null;
  const failure = failed?.error ?? probeError;
  const observed = await deps.services.observe(signal);
  const good = state.record.good?.generation === generation;
  const verdict = judge({
    generation,
    booted,
    probes: failure === null ? 'passed' : condemns(failed?.step ?? null) ? 'failed' : 'pending',
    reason: failure?.message.slice(0, 1024) ?? '',
    confirmed: input.confirmed,
    good,
    fallback: others.length > 0,
  });
  if (!good && verdict !== null) await remember(verdict, chosen, deps, signal);
  const unhealthy = observed.filter(({ healthy }) => !healthy).map(({ module }) => module.name);
  const conditions = conditionsOf(desired, leave, deps, unhealthy);
  return { desired, booted, steps, failure, verdict, conditions };
}

function choose(document: DesiredDocument, deps: CycleDeps) {
  const { record, run } = deps.state;
  const wanted = candidate(document.reply.envelope, deps.instance);
  const rejected = [
    ...record.rejected.map(({ generation }) => generation),
    ...document.reply.rejected,
  ];
  const known = (envelope: Envelope | null | undefined) => {
    const each = envelope ? candidate(envelope, deps.instance) : null;
    // Generations of another history cannot be compared, and so are not gone back to.
    return each?.desired.history === wanted.desired.history ? each : null;
  };
  const fallbacks = rankFallbacks({
    here: known(record.good?.envelope),
    coordinator: known(document.reply.good),
    passed: known(run.passed?.envelope),
  });
  const chosen = chooseGeneration({ desired: wanted, rejected, fallbacks });
  const others = fallbacks.filter(
    ({ generation }) => generation !== chosen.generation && !rejected.includes(generation),
  );
  const leave = rejected.includes(deps.bootedGeneration);
  return { chosen, others, leave };
}

function candidate(envelope: Envelope, instance: InstanceId): Candidate {
  const desired = readEnvelope(envelope, instance);
  return { generation: desired.generation, envelope, desired };
}

function wantedOf(
  chosen: Candidate,
  others: readonly Candidate[],
  leave: boolean,
  { state, instance }: CycleDeps,
) {
  const { good } = state.record;
  const own = good === null ? [] : readEnvelope(good.envelope, instance).modules;
  return {
    desired: chosen.desired,
    keep: [...own, ...(others[0]?.desired.modules ?? [])],
    settled: good?.generation === chosen.generation,
    leave,
  };
}

/** Steps that only fetch and check stop nothing: their failure is no reason to go back. */
function condemns(step: Step | null): boolean {
  return step === null || step.kind === 'attach-service' || step.kind === 'reattach-service';
}

async function probeAll(
  desired: Desired,
  deps: CycleDeps,
  signal: AbortSignal,
): Promise<BilletError | null> {
  // System modules that are only staged are probed once they have booted.
  const booted = new Set(deps.booted?.manifests ?? []);
  const running = desired.modules.filter(
    ({ kind, manifest }) => kind === 'service' || booted.has(manifest),
  );
  for (const module of running)
    try {
      await deps.probe(await deps.ports.modules.label(module, signal), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof BilletError) return error;
      throw error;
    }
  return null;
}

async function remember(
  verdict: Verdict,
  { generation, envelope, desired }: Candidate,
  { state, ports, booted }: CycleDeps,
  signal: AbortSignal,
): Promise<void> {
  const { record } = state;
  switch (verdict.verdict) {
    case 'unconfirmed':
      return await state.updateRun({ passed: { generation, envelope } });
    case 'rejected':
      return await state.updateRecord({
        rejected: [...record.rejected, { generation, reason: verdict.reason }],
      });
    case 'good': {
      const manifests = new Set(booted?.manifests ?? []);
      const run = desired.modules.filter(
        ({ kind, manifest }) => kind === 'service' || manifests.has(manifest),
      );
      const labels = await Promise.all(run.map((module) => ports.modules.label(module, signal)));
      const floors = raiseFloors(record.floors, labels);
      return await state.updateRecord({ good: { generation, envelope }, trial: null, floors });
    }
  }
}

function conditionsOf(
  desired: Desired,
  leave: boolean,
  { state, booted, bootedGeneration }: CycleDeps,
  unhealthy: readonly string[],
): Condition[] {
  const { staged } = state.run;
  const found: Condition[] = unhealthy.map((name) => ({
    code: 'SERVICE_DOWN',
    text: `services of module ${name} do not run`,
    hint: `on the node: systemctl status 'billet-${name}-*'`,
  }));
  if (staged !== null && leave)
    found.push({
      code: 'GOING_BACK',
      text: `generation ${bootedGeneration} was rejected: the machine restarts into ${staged.generation}`,
      hint: 'the reason stands beside the rejected generation: billet instance show',
    });
  else if (staged !== null)
    found.push({
      code: 'REBOOT_PENDING',
      text: `generation ${staged.generation} has another system, which the next boot takes up`,
      hint: `billet task create reboot ${desired.instance}`,
    });
  const settings = nodeSettings(desired.settings);
  const system = desired.modules.some(({ kind }) => kind === 'system');
  if (booted === null && (system || settingsKey(settings) !== '{}'))
    found.push({
      code: 'SYSTEM_UNMANAGED',
      text: 'this system was not booted by Billet: system modules and settings are left alone',
      hint: 'boot it from a Billet boot image, or take them out of the node',
    });
  return found;
}
