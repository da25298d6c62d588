// Runs reconcile cycles: at every change and each 30 s, one at a time. Knows what the last one came
// to; writes nothing of its own.

import type { Clock } from '#shared/clock.ts';
import type { BilletError } from '#shared/errors.ts';
import type {
  Condition,
  Heartbeat,
  ModuleState,
  Phase,
  Verdict,
} from '#shared/schema/heartbeat.ts';
import type { ModuleName, ModuleRef } from '#shared/schema/module.ts';
import type { DesiredDocument } from '../link/desired.ts';
import { wakeable } from '../wakeable.ts';
import { asBilletError, conditionOf } from './conditions.ts';
import { type CycleDeps, type CycleResult, planNow, runCycle } from './cycle.ts';
import { orders } from './orders.ts';
import type { Step } from './steps.ts';
import type { AttachedService, Held } from './world.ts';

export interface LoopDeps extends CycleDeps {
  readonly clock: Clock;
  /** The newest desired state; null before the first. */
  readonly document: () => DesiredDocument | null;
  readonly confirmed: () => number | null;
  /** What the booted root was merged from. */
  readonly merged: readonly ModuleState[];
  /** After each cycle that changed the status. */
  readonly onStatus: (status: LoopStatus) => void;
}

export interface LoopStatus {
  /** The generation that runs. */
  readonly generation: number;
  readonly phase: Phase;
  readonly modules: readonly ModuleState[];
  readonly lastReconcile: Heartbeat['lastReconcile'];
  readonly verdicts: readonly Verdict[];
  readonly conditions: readonly Condition[];
  readonly staged: number | null;
  /** What the last cycle was kept from running. */
  readonly held: Held;
}

export interface ReconcileLoop {
  readonly status: LoopStatus;
  /** Something changed: reconcile now, or once more when a cycle runs. */
  wake(): void;
  /** What the next cycle would do. */
  plan(signal: AbortSignal): Promise<readonly Step[]>;
  /** One cycle. Throws the signal's reason only. */
  once(signal: AbortSignal): Promise<void>;
  /**
   * One whole pass from now on, and the status after it. What is named is taken down first and brought
   * up from nothing, where it is wanted: noted before, so that a crash in between loses nothing.
   */
  order(restart: readonly ModuleName[], signal: AbortSignal): Promise<LoopStatus>;
  /** Runs until `signal` aborts, and then rejects with its reason. */
  run(signal: AbortSignal): Promise<never>;
}

const INTERVAL_MS = 30_000;

export function reconcileLoop(deps: LoopDeps): ReconcileLoop {
  const { clock } = deps;
  const wait = wakeable(clock);
  const given = orders();
  let probed: number | null = null;
  let swept = false;
  let services: readonly AttachedService[] = [];
  let status: LoopStatus = {
    generation: deps.bootedGeneration,
    phase: 'bootstrapping',
    modules: deps.merged,
    lastReconcile: undefined,
    verdicts: [],
    conditions: [],
    staged: deps.state.run.staged?.generation ?? null,
    held: 'nothing',
  };

  async function once(signal: AbortSignal): Promise<void> {
    const document = deps.document();
    if (document === null) return;
    const order = given.take();
    try {
      for (const name of order.restart) await deps.journal.begin(name);
      const result = await runCycle(
        { document, confirmed: deps.confirmed(), probed, sweep: !swept },
        deps,
        signal,
      );
      if (result.held !== 'nothing') probed = null;
      else if (result.failure === null) probed = result.desired.generation;
      else if (probed === result.desired.generation) probed = null;
      swept = isSwept(result, swept);
      services = result.services;
      publish(after(result), result.held === 'nothing' ? result.desired.modules : []);
      // What changed may have made more to do (another generation to go back to, garbage): look
      // again now, not in 30 s. A pass without steps ends it, and so does a failure.
      const rejected = result.verdict?.verdict === 'rejected';
      if (rejected || (result.steps.length > 0 && result.failure === null)) wait.wake();
    } catch (error) {
      signal.throwIfAborted();
      publish(afterError(asBilletError(error)), []);
    } finally {
      order.ended();
    }
  }

  function after(result: CycleResult): Partial<LoopStatus> {
    const { desired, booted, steps, failure, verdict, conditions, held } = result;
    const outcome =
      failure !== null ? 'failed' : steps.length > 0 ? ('changed' as const) : 'converged';
    return {
      // One that waits for a boot does not run yet, whatever else of it is in place.
      ...(failure === null && booted && held === 'nothing'
        ? { generation: desired.generation }
        : {}),
      phase: phaseAfter(result),
      lastReconcile: { ...reconciled(outcome, steps.length), ...failureOf(failure) },
      ...{ verdicts: verdictsOf(verdict), held },
      conditions: [...conditions, ...(failure === null ? [] : [conditionOf(failure)])],
    };
  }

  /** What is held back was not seen to run: it is no better than it was. */
  function phaseAfter({ failure, held }: CycleResult): Phase {
    if (failure === null) return held === 'nothing' ? 'ready' : status.phase;
    return status.phase === 'bootstrapping' ? status.phase : 'degraded';
  }

  function afterError(failure: BilletError): Partial<LoopStatus> {
    return {
      phase: status.phase === 'bootstrapping' ? status.phase : 'degraded',
      lastReconcile: { ...reconciled('failed', 0), ...failureOf(failure) },
      conditions: [conditionOf(failure)],
      verdicts: verdictsOf(null),
    };
  }

  function verdictsOf(current: Verdict | null): Verdict[] {
    const { rejected } = deps.state.record;
    const older = rejected
      .filter(({ generation }) => generation !== current?.generation)
      .map(({ generation, reason }): Verdict => ({ generation, verdict: 'rejected', reason }));
    return [...older, ...(current === null ? [] : [current])].slice(-16);
  }

  const reconciled = (outcome: 'converged' | 'changed' | 'failed', steps: number) => ({
    at: new Date(clock.now()).toISOString(),
    outcome,
    steps,
  });

  function publish(change: Partial<LoopStatus>, wanted: CycleResult['desired']['modules']): void {
    const names = new Set(services.map(({ module }) => module.name));
    const missing = wanted.filter(({ kind, name }) => kind === 'service' && !names.has(name));
    const modules = [
      ...deps.merged,
      ...services.map(({ module, healthy, persistent }) => ({
        ...stateOf(module, healthy ? 'attached' : 'failed'),
        ...(persistent.length === 0 ? {} : { persistent: [...persistent] }),
      })),
      ...missing.map((module) => stateOf(module, 'failed')),
    ];
    const staged = deps.state.run.staged?.generation ?? null;
    const before = withoutTime(status);
    status = { ...status, ...change, modules, staged };
    if (withoutTime(status) !== before) deps.onStatus(status);
  }

  return {
    get status() {
      return status;
    },
    wake: wait.wake,
    async plan(signal) {
      const document = deps.document();
      return document === null ? [] : await planNow({ document, sweep: !swept }, deps, signal);
    },
    once,
    async order(restart, signal) {
      const ended = given.give(restart, signal);
      wait.wake();
      await ended;
      return status;
    },
    async run(signal) {
      for (;;) {
        await once(signal);
        await wait.sleep(INTERVAL_MS, signal);
      }
    },
  };
}

/** A pull that failed leaves files that nothing refers to. */
function isSwept({ steps, failed }: CycleResult, before: boolean): boolean {
  if (failed === null) return before || steps.some(({ kind }) => kind === 'collect-garbage');
  return before && failed.kind !== 'pull-module' && failed.kind !== 'stage-system';
}

const stateOf = (
  { name, version, manifest, image }: ModuleRef,
  state: ModuleState['state'],
): ModuleState => ({ name, version, manifest, image, state });

/** When it was reconciled changes each time, and is news to nobody. */
function withoutTime({ lastReconcile, ...rest }: LoopStatus): string {
  const { at: _, ...outcome } = lastReconcile ?? { at: '' };
  return JSON.stringify([rest, outcome]);
}

const failureOf = (failure: BilletError | null) =>
  failure === null ? {} : { code: failure.code, message: failure.message.slice(0, 1024) };
