// Carries a drain out: sees, takes the steps that are planned, sees again, until nothing is left or its
// time is over. What it may do is in plan.ts; what has to be taken back is on disk before it is done.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { DrainOrder, DrainReport } from '#shared/schema/drain.ts';
import type { TaskId } from '#shared/schema/ids.ts';
import type { Units } from '../drivers/units.ts';
import type { Held } from '../reconcile/world.ts';
import type { Cordon } from './cordon.ts';
import type { Engine } from './docker.ts';
import type { Cluster } from './kubernetes.ts';
import { type DrainStep, describe, plan, stayed } from './plan.ts';
import { saidOf } from './pods.ts';
import type { Seen, SeenEngine } from './seen.ts';

/** The reconcile loop, which alone attaches and detaches services. */
export interface Attaching {
  /** Something changed: reconcile now. */
  wake(): void;
  /** What the last cycle was kept from running, and why that failed; null when it did not. */
  status(): { readonly held: Held; readonly failure: string | null };
  services(signal: AbortSignal): Promise<Seen['services']>;
}

export interface DrainDeps {
  readonly clock: Clock;
  readonly cordon: Cordon;
  readonly attaching: Attaching;
  readonly engine: Engine;
  readonly cluster: Cluster;
  readonly units: Pick<Units, 'start' | 'stop' | 'states'>;
  readonly processes: () => Promise<Seen['processes']>;
}

const LOOK_EVERY_MS = 1_000;
/** How long the engine may take to answer. */
const ENGINE_MAX_MS = 15_000;
const ENGINE_MIN_MS = 2_000;
const EVICT_MAX_SECONDS = 30;
const DONE_MAX = 128;
const STAYED_MAX = 64;

/**
 * The report, once nothing is left or the time that began with the first try of this task is over. Safe
 * to call again: what is done already is seen. Throws the signal's reason, and STORE_FULL, STORE_FAILED
 * when what has to be taken back cannot be written: then it was not done.
 */
export async function drain(
  task: TaskId,
  order: DrainOrder,
  deps: DrainDeps,
  signal: AbortSignal,
): Promise<DrainReport> {
  const { clock } = deps;
  await begin(task, deps);
  // A clock that jumped back gives no more time than the order has.
  const passedMs = Math.max(0, clock.now() - (deps.cordon.record?.begunAt ?? clock.now()));
  const until = clock.monotonic() + Math.max(0, order.timeoutSeconds * 1000 - passedMs);
  const said = new Map<string, string>();
  const done = new Set<string>();
  for (;;) {
    const seen = await observe(deps, until - clock.monotonic(), signal);
    const left = stayed(seen, order, said);
    const remainingMs = until - clock.monotonic();
    if (left.length === 0 || remainingMs <= 0) return reportOf(order, left, done);
    const limit = limited(clock, remainingMs, signal);
    try {
      for (const step of plan(seen, order)) {
        await act(step, { deps, said, remainingMs, signal: limit.signal });
        done.add(describe(step).slice(0, 512));
      }
      await clock.sleep(LOOK_EVERY_MS, limit.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!limit.signal.aborted) throw error;
    } finally {
      limit.end();
    }
  }
}

/** Holds at least as much as before, and takes over what an earlier drain has to take back. */
async function begin(task: TaskId, { clock, cordon, attaching }: DrainDeps) {
  const { record } = cordon;
  const isResumed = record?.task === task;
  await cordon.set({
    held: record?.held ?? 'new',
    task,
    begunAt: isResumed ? record.begunAt : clock.now(),
    units: record?.units ?? [],
    clusterNode: record?.clusterNode ?? null,
  });
  attaching.wake();
}

async function observe(deps: DrainDeps, remainingMs: number, signal: AbortSignal): Promise<Seen> {
  const { attaching, cluster, cordon } = deps;
  // Before the services are read: what is held afterwards was attached before.
  const { held } = attaching.status();
  return {
    holds: { attaching: held !== 'nothing', services: held === 'all' && cordon.held === 'all' },
    cluster: await cluster.observe(signal),
    engine: await engineSeen(
      deps,
      Math.max(ENGINE_MIN_MS, Math.min(ENGINE_MAX_MS, remainingMs)),
      signal,
    ),
    services: await attaching.services(signal),
    processes: await deps.processes(),
  };
}

/** One that hangs must not hold the drain beyond its time. */
async function engineSeen(
  { clock, engine }: DrainDeps,
  limitMs: number,
  signal: AbortSignal,
): Promise<SeenEngine | null> {
  const limit = limited(clock, limitMs, signal);
  try {
    return await engine.observe(limit.signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!limit.signal.aborted) throw error;
    const reason = `docker did not answer in ${Math.round(limitMs / 1000)} s`;
    return { kind: 'silent', containers: [], units: [], reason };
  } finally {
    limit.end();
  }
}

interface Acting {
  readonly deps: DrainDeps;
  readonly said: Map<string, string>;
  readonly remainingMs: number;
  readonly signal: AbortSignal;
}

async function act(step: DrainStep, { deps, said, remainingMs, signal }: Acting): Promise<void> {
  const { cordon, attaching, cluster, engine, units } = deps;
  const { record } = cordon;
  if (record === null)
    throw new BilletError('INTERNAL', 'a drain without a cordon', {
      hint: 'report this as a defect',
    });
  switch (step.kind) {
    case 'hold-attaching':
      return attaching.wake();
    case 'cordon-node':
      // First, so that a crash leaves nothing cordoned that nobody takes back.
      await cordon.set({ ...record, clusterNode: step.node });
      return await unlessRefused(step.node, said, () => cluster.cordon(step.node, signal));
    case 'evict-pods': {
      // Ends before the drain does, to be heard, and to look again in between.
      const seconds = Math.min(EVICT_MAX_SECONDS, remainingMs / 2_000);
      const text = await cluster.drain(step.node, seconds, signal);
      for (const [name, why] of saidOf(step.pods, text)) said.set(name, why);
      return;
    }
    case 'stop-containers': {
      const text = await engine.stop(step.containers, signal);
      for (const { id, name } of step.containers)
        for (const line of text.split('\n')) if (line.includes(id)) said.set(name, line);
      return;
    }
    case 'stop-engine':
      await cordon.set({ ...record, units: [...new Set([...record.units, ...step.units])] });
      return await unlessRefused('docker', said, () => units.stop(step.units, signal));
    case 'hold-services': {
      if (record.held !== 'all') await cordon.set({ ...record, held: 'all' });
      attaching.wake();
      const { failure } = attaching.status();
      for (const name of step.names) if (failure !== null) said.set(name, failure);
    }
  }
}

/** What a tool refuses is said at the end, and tried again before. */
async function unlessRefused(name: string, said: Map<string, string>, work: () => Promise<void>) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof BilletError)) throw error;
    said.set(name, error.message);
  }
}

function reportOf(
  { cordonOnly }: DrainOrder,
  left: ReturnType<typeof stayed>,
  done: ReadonlySet<string>,
): DrainReport {
  return {
    empty: left.length === 0 && !cordonOnly,
    done: [...done].slice(-DONE_MAX),
    stayed: left.slice(0, STAYED_MAX),
    more: Math.max(0, left.length - STAYED_MAX),
  };
}

/** Aborted with `signal`, and when the time is over. */
function limited(clock: Clock, ms: number, signal: AbortSignal) {
  const over = new AbortController();
  const ended = new AbortController();
  clock.sleep(ms, AbortSignal.any([signal, ended.signal])).then(
    () => over.abort(new BilletError('TIMEOUT', 'the time of the drain is over', { hint: 'none' })),
    () => undefined,
  );
  return { signal: AbortSignal.any([signal, over.signal]), end: () => ended.abort() };
}
