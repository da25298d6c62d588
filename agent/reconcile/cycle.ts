// One pass of reconciling: choose the generation, observe, plan, apply, probe, judge. Keeps no time
// and repeats nothing; the loop does.

import { BilletError, type Code } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { Condition, Verdict } from '#shared/schema/heartbeat.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { ModuleLabel } from '#shared/schema/module.ts';
import { type DesiredDocument, readEnvelope } from '../link/desired.ts';
import {
  hasSystemBefore,
  healthCheckOf,
  nixConditions,
  rejectedError,
  runsClosure,
} from '../nix/judge.ts';
import { type ApplyDeps, apply, type FailedStep } from './apply.ts';
import { type Candidate, choose, wantedOf } from './choice.ts';
import { conditionOf, nodeConditions } from './conditions.ts';
import type { Journal } from './journal.ts';
import { type ObserveDeps, observe } from './observe.ts';
import { plan, sameSystem, systemSetOf } from './plan.ts';
import { raiseFloors } from './state.ts';
import type { Step } from './steps.ts';
import { judge } from './verdict.ts';
import type { AttachedService, Held } from './world.ts';

export interface CycleDeps extends ObserveDeps, ApplyDeps {
  readonly journal: Pick<Journal, 'unfinished' | 'begin' | 'done'>;
  readonly instance: InstanceId;
  /** The generation that was booted; 0 without one. */
  readonly bootedGeneration: number;
  /** Runs all probes of a module; throws PROBE_FAILED. */
  readonly probe: (
    label: Pick<ModuleLabel, 'name' | 'probes'>,
    signal: AbortSignal,
  ) => Promise<void>;
  /** What a drain keeps from running now. */
  readonly held: () => Held;
}

export interface CycleInput {
  readonly document: DesiredDocument;
  /** The newest generation that the coordinator has seen ready, of its last heartbeat reply. */
  readonly confirmed: number | null;
  /** The generation whose probes have passed since this agent started. */
  readonly probed: number | null;
  /** The store was not swept in this life of the agent, or a pull has failed since. */
  readonly sweep: boolean;
}

export interface CycleResult {
  readonly desired: Desired;
  readonly steps: readonly Step[];
  /** Which of the steps failed; null where all of them worked, whatever the probes say. */
  readonly failed: Step | null;
  /** Its system runs, and is not only staged for the next boot. */
  readonly booted: boolean;
  /** Null when the generation runs as wanted. */
  readonly failure: BilletError | null;
  readonly verdict: Verdict | null;
  /** As they are after the steps. */
  readonly services: readonly AttachedService[];
  readonly conditions: readonly Condition[];
  /** What a drain held back: the generation then runs only in part, and is not judged. */
  readonly held: Held;
}

/** What would be done now. Changes nothing. */
export async function planNow(
  input: Pick<CycleInput, 'document' | 'sweep'>,
  deps: CycleDeps,
  signal: AbortSignal,
): Promise<readonly Step[]> {
  const choice = choose(input.document, deps);
  const observed = await observe(choice.chosen.desired, deps, signal);
  return plan(wantedOf(choice, { sweep: input.sweep, held: deps.held() }, deps), observed);
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
  const { history } = readEnvelope(input.document.reply.envelope, deps.instance);
  const unwritten = [await unlessDisk(state.enterHistory(history))];
  const choice = choose(input.document, deps);
  const { chosen, others } = choice;
  const { desired, generation } = chosen;
  const held = deps.held();
  const before = await observe(desired, deps, signal);
  const steps = plan(wantedOf(choice, { sweep: input.sweep, held }, deps), before);
  const failed = await apply(steps, deps, signal);
  const nixos = steps.length === 0 ? before.nix : await deps.ports.nix.observe(desired.closure);
  const merged = deps.booted === null || sameSystem(systemSetOf(desired), deps.booted);
  const booted = merged && runsClosure(desired, nixos);
  // Gone back from, with no generation to take its place: nothing of it is to be judged again.
  const rejected = choice.rejected === null ? null : rejectedError(desired, choice.rejected, nixos);
  const probeError =
    failed === null && rejected === null && held === 'nothing' && input.probed !== generation
      ? await probeAll(desired, booted, deps, signal)
      : null;
  const failure = failed?.error ?? rejected ?? probeError;
  const services = steps.length === 0 ? before.services : await deps.services.observe(signal);
  const good = state.record.good?.generation === generation;
  const judged = judge({
    generation,
    booted,
    probes:
      failure === null
        ? 'passed'
        : rejected === null && condemns(failed, generation)
          ? 'failed'
          : 'pending',
    reason: failure?.message.slice(0, 1024) ?? '',
    confirmed: input.confirmed,
    good,
    fallback: others.length > 0 || hasSystemBefore(desired, nixos),
  });
  const verdict = held === 'nothing' ? judged : null;
  if (!good && verdict !== null)
    unwritten.push(await unlessDisk(remember(verdict, chosen, deps, signal)));
  const conditions = [
    ...nodeConditions(choice, deps, services, held),
    ...nixConditions(desired, nixos),
    ...(deps.ports.slots?.conditions() ?? []),
    ...unwritten.flatMap((each) => (each === null ? [] : conditionOf(each))),
  ];
  return {
    desired,
    booted,
    steps,
    failed: failed?.step ?? null,
    failure,
    verdict,
    ...{ services, conditions, held },
  };
}

/** A disk that is full keeps nothing from being decided and done: it is said, and tried again. */
async function unlessDisk(work: Promise<void>): Promise<BilletError | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (error instanceof BilletError && DISK.has(error.code)) return error;
    throw error;
  }
}

const DISK: ReadonlySet<Code> = new Set<Code>(['STORE_FULL', 'STORE_FAILED']);

/**
 * Steps that only fetch and check stop nothing: their failure is no reason to go back, and neither
 * is a disk that is full. A probe that failed (null) is.
 */
function condemns(failed: FailedStep | null, generation: number): boolean {
  if (failed === null) return true;
  const { step, error } = failed;
  // One of another generation may be left from a life that died.
  if (step.kind === 'activate-closure')
    return step.order.generation === generation && !DISK.has(error.code);
  const attaching = step.kind === 'attach-service' || step.kind === 'reattach-service';
  return attaching && !DISK.has(error.code);
}

async function probeAll(
  desired: Desired,
  isBooted: boolean,
  deps: CycleDeps,
  signal: AbortSignal,
): Promise<BilletError | null> {
  // System modules that are only staged are probed once they have booted.
  const booted = new Set(deps.booted?.manifests ?? []);
  const running = desired.modules.filter(
    ({ kind, manifest }) => kind === 'service' || booted.has(manifest),
  );
  try {
    const health = isBooted ? healthCheckOf(desired) : null;
    if (health !== null) await deps.probe(health, signal);
    for (const module of running)
      await deps.probe(await deps.ports.modules.label(module, signal), signal);
    return null;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof BilletError) return error;
    throw error;
  }
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
      const boot = ports.slots?.release() ?? null;
      const floors = raiseFloors(record.floors, boot === null ? labels : [...labels, boot]);
      if (desired.closure !== null) await ports.nix.noteGood(desired.closure);
      return await state.updateRecord({ good: { generation, envelope }, trial: null, floors });
    }
  }
}
