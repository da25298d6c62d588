// Acts; never decides. One step at a time; one that a crash could leave half done is journaled before
// it runs, so that the next plan clears it away.

import { assertRequirements } from '#shared/artifact/module/requirements.ts';
import { BilletError } from '#shared/errors.ts';
import { diskError } from '../drivers/disk-error.ts';
import type { Journal } from './journal.ts';
import { nodeSettings, settingsKey } from './plan.ts';
import type { ReconcilePorts } from './ports.ts';
import type { Services } from './services.ts';
import type { StateFiles } from './state.ts';
import { describe, type Step, unsettles } from './steps.ts';

export interface ApplyDeps {
  readonly ports: Pick<ReconcilePorts, 'modules' | 'nix' | 'slots' | 'settings' | 'power'>;
  readonly services: Services;
  readonly state: StateFiles;
  readonly journal: Pick<Journal, 'begin' | 'done'>;
  /** After each step that worked. */
  readonly onDone: (step: Step) => void;
}

export interface FailedStep {
  readonly step: Step;
  readonly error: BilletError;
}

/**
 * Stops at the first step that fails, and returns it; null when all are done. Throws STORE_FULL and
 * STORE_FAILED when the end of a step cannot be written.
 */
export async function apply(
  steps: readonly Step[],
  deps: ApplyDeps,
  signal: AbortSignal,
): Promise<FailedStep | null> {
  for (const step of steps) {
    signal.throwIfAborted();
    const name = unsettles(step);
    try {
      if (name !== null) await deps.journal.begin(name);
      await run(step, deps, signal);
    } catch (error) {
      // A stop in the middle of a step leaves it unfinished, and so does an error.
      signal.throwIfAborted();
      const failure = asBilletError(error, step);
      // But with a probe that fails, all of the service is in its place.
      if (name !== null && failure.code === 'PROBE_FAILED') await deps.journal.done(name);
      return { step, error: failure };
    }
    if (name !== null) await deps.journal.done(name);
    deps.onDone(step);
  }
  return null;
}

// No default: a new kind of step does not compile until it is handled here.
function run(step: Step, deps: ApplyDeps, signal: AbortSignal): Promise<void> {
  const { ports, services, state } = deps;
  switch (step.kind) {
    case 'pull-module':
      return ports.modules.pull(step.module, signal);
    case 'check-modules':
      return check(step, deps, signal);
    case 'keep-slots':
      return ports.slots?.keep(step, signal) ?? Promise.resolve();
    case 'stage-system':
      return stage(step, deps, signal);
    case 'unstage-system':
      return state.updateRun({ staged: null });
    case 'write-settings':
      return writeSettings(step.settings, deps, signal);
    case 'detach-service':
      return services.detach(step.name, signal);
    case 'attach-service':
    case 'reattach-service':
      return services.attach(step.module, step.settings, signal);
    case 'restart-machine':
      return ports.power.restart(signal);
    case 'pull-closure':
      return ports.nix.pull(step.closure, signal);
    case 'activate-closure':
      return ports.nix.activate(step.order, signal);
    case 'collect-closures':
      return ports.nix.collect(step.keep, signal);
    case 'collect-garbage':
      return ports.modules.collect(step);
  }
}

async function check(
  { node, present, modules }: Extract<Step, { kind: 'check-modules' }>,
  { ports }: ApplyDeps,
  signal: AbortSignal,
): Promise<void> {
  const labels = await Promise.all(modules.map((module) => ports.modules.label(module, signal)));
  assertRequirements({ node, present, labels });
}

async function stage(
  step: Extract<Step, { kind: 'stage-system' }>,
  { ports, state }: ApplyDeps,
  signal: AbortSignal,
): Promise<void> {
  const { generation, modules, bootImage, kernelRelease, expected } = step;
  const systemImage = await ports.modules.compose({ modules, kernelRelease }, signal);
  if (expected !== null && expected !== systemImage)
    throw new BilletError(
      'DIGEST_MISMATCH',
      `the system image is ${systemImage}, the coordinator computed ${expected}`,
      { hint: 'compare the versions of agent and coordinator', details: { expected, systemImage } },
    );
  const manifests = modules.map(({ manifest }) => manifest).sort();
  await state.updateRun({ staged: { generation, systemImage, bootImage, manifests } });
}

async function writeSettings(
  settings: Extract<Step, { kind: 'write-settings' }>['settings'],
  { ports, state }: ApplyDeps,
  signal: AbortSignal,
): Promise<void> {
  // Half of it may be written when this fails: then none of it counts as written.
  await state.updateRun({ settings: null });
  await ports.settings.apply(settings, signal);
  await state.updateRun({ settings: settingsKey(nodeSettings(settings)) });
}

function asBilletError(cause: unknown, step: Step): BilletError {
  const error = diskError(cause, describe(step));
  if (error instanceof BilletError) return error;
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new BilletError('INTERNAL', message, {
    hint: 'report this with the journal of billet-agent: journalctl -u billet-agent',
    cause: error,
  });
}
