// Tells console and coordinator how an installation goes. What cannot be told holds nothing up: the next
// report says it, too.

import type { BilletError } from '#shared/errors.ts';
import type { Disk } from '#shared/schema/facts.ts';
import {
  INSTALL_STEPS,
  type InstallCandidate,
  type InstallReport,
  type InstallState,
  type InstallStep,
} from '#shared/schema/install-report.ts';
import type { InstallWork } from './plan.ts';
import type { InstallPorts, InstallRequest } from './ports.ts';

/** Shares of the whole, by what the steps take: the boot image comes over the network. */
const WEIGHTS: Readonly<Record<InstallStep, number>> = {
  ...{ wipe: 2, partition: 4, format: 8, loader: 6, slot: 70, state: 5, finish: 5 },
};
const MARKER_MS = 1000;
const REPORT_MS = 5000;
/** A coordinator that is slow does not hold an installation up for longer. */
const DEADLINE_MS = 10_000;
const ATTEMPTS = 3;
const AGAIN_MS = 1000;

export interface InstallNews {
  step(step: InstallStep): Promise<void>;
  /** Of the step that runs, 0 to 1. */
  progress(share: number): void;
  /** Resolves with whether the coordinator has it. */
  end(state: Exclude<InstallState, 'installing'>, problem?: BilletError): Promise<boolean>;
  /** Says that it is installed, until the coordinator has it, or a few times: it waits for this one. */
  installed(): Promise<void>;
  /** Waits for what is on its way. */
  settle(): Promise<void>;
}

export interface NewsOf {
  readonly disk: Disk | null;
  readonly candidates: readonly InstallCandidate[];
  readonly recoveryKey: () => string | null;
}

export function installNews(
  { clock, log }: InstallPorts,
  { desired, bootId, uplink }: InstallRequest,
  { disk, candidates, recoveryKey }: NewsOf,
  signal: AbortSignal,
): InstallNews {
  let current: InstallStep | null = null;
  let share = 0;
  let markedAt = Number.NEGATIVE_INFINITY;
  let reportedAt = Number.NEGATIVE_INFINITY;
  let sending: Promise<boolean> = Promise.resolve(true);
  let underWay = 0;

  const report = (state: InstallState, problem: BilletError | null): Promise<boolean> => {
    reportedAt = clock.monotonic();
    const event = desired.install?.event;
    if (uplink === null || event === undefined) return Promise.resolve(false);
    const body: InstallReport = {
      ...{ event, bootId, state, step: current, disk, recoveryKey: recoveryKey() },
      progress: state === 'installed' ? 1 : overall(current, share),
      candidates: candidates.slice(0, 64),
      problem: problem && {
        code: problem.code,
        text: problem.message.slice(0, 1024),
        hint: problem.hint.slice(0, 1024),
      },
    };
    // One after the other: a later one is not to arrive before an earlier one.
    underWay += 1;
    sending = sending.then(async () => {
      try {
        await uplink.reportInstall(
          body,
          AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
        );
        return true;
      } catch (error) {
        if (!signal.aborted) log.failure('install-progress', error);
        return false;
      } finally {
        underWay -= 1;
      }
    });
    return sending;
  };

  const mark = (): void => {
    markedAt = clock.monotonic();
    const percent = Math.round(overall(current, share) * 100);
    log.marker('install-progress', { percent, step: current ?? 'none' });
  };

  return {
    async step(step) {
      current = step;
      share = 0;
      log.marker('install-step', { step, disk: disk?.name ?? 'none' });
      mark();
      void report('installing', null);
    },
    progress(done) {
      share = Math.min(1, Math.max(share, done));
      if (clock.monotonic() - markedAt >= MARKER_MS) mark();
      // Behind a slow one none queue up: the end would wait for all of them.
      const due = underWay === 0 && clock.monotonic() - reportedAt >= REPORT_MS;
      if (due) void report('installing', null);
    },
    end: (state, problem) => report(state, problem ?? null),
    async installed() {
      for (let left = ATTEMPTS; left > 0 && !(await report('installed', null)); left -= 1)
        if (uplink !== null) await clock.sleep(AGAIN_MS, signal);
    },
    settle: async () => void (await sending),
  };
}

/** In one line, before anything is written. */
export function showPlan(
  { log }: Pick<InstallPorts, 'log'>,
  { on, profile, steps, resumes }: Pick<InstallWork, 'on' | 'profile' | 'steps' | 'resumes'>,
  { dryRun }: { readonly dryRun: boolean },
): void {
  const { name, sizeBytes, serial } = on.disk;
  const how = { profile: profile.name, steps: steps.join(','), resumes, dryRun };
  log.marker('install-plan', { disk: name, sizeBytes, serial: serial ?? 'none', ...how });
}

const TOTAL = Object.values(WEIGHTS).reduce((sum, weight) => sum + weight, 0);

function overall(step: InstallStep | null, share: number): number {
  if (step === null) return 0;
  const before = INSTALL_STEPS.slice(0, INSTALL_STEPS.indexOf(step));
  const weight = before.reduce((sum, each) => sum + WEIGHTS[each], WEIGHTS[step] * share);
  return Math.round((weight / TOTAL) * 1000) / 1000;
}
