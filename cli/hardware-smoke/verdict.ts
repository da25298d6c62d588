// Judges a console: line after line against a flow, to what was reached, what went wrong, and whether
// that is the end. Pure; seconds come from the caller.

import { CODES } from '#shared/error-codes.ts';
import { type MarkerRecord, parseMarker } from '#shared/markers.ts';
import { CONSOLE_CODES, CONSOLE_PATTERNS, type ConsoleCode } from './console-codes.ts';
import type { BootFlow, Expectation, Flow } from './flows.ts';
import type { Failure, Outcome, Stage } from './result.ts';

export interface Judged {
  readonly flow: Flow;
  /** Which boot of the flow it is in, from 0. */
  readonly at: number;
  /** Times that the machine was seen to start. */
  readonly boots: number;
  readonly stages: readonly Stage[];
  readonly failures: readonly Failure[];
  readonly done: boolean;
}

export interface Patience {
  readonly timeoutSeconds: number;
  /** How long a failure that no retry mends may stand before the capture ends. */
  readonly graceSeconds: number;
}

/** Of a machine that gets over each of them, and fails again. */
const FAILURES_MAX = 1000;

export const judgeOf = (flow: Flow): Judged => ({
  ...{ flow, at: 0, boots: 0, done: false },
  ...{ stages: [], failures: [] },
});

/**
 * After one more line of the console, seen `seconds` after the start of the capture. What comes behind
 * the end counts for nothing: how much of it is still read depends on how the console is cut.
 */
export function judgeLine(judged: Judged, line: string, seconds: number): Judged {
  if (judged.done) return judged;
  const marker = parsed(line);
  if (marker !== null)
    return marker.failure
      ? withFailure(judged, markerFailure(judged, marker, seconds))
      : judgeStage(judged, marker, seconds);
  const found = CONSOLE_PATTERNS.find(({ pattern }) => pattern.test(line));
  if (found === undefined) return judged;
  return withFailure(judged, consoleFailure(judged, found.code, line.trim(), null, seconds));
}

/** What has still to come, of the boot that it is in and of those after it. */
export function missingStages(judged: Judged): readonly { boot: number; stage: string }[] {
  const { flow, at, done } = judged;
  if (done) return [];
  return flow.boots.flatMap(({ stages }, i) =>
    i < at
      ? []
      : stages
          .filter(({ stage, optional }) => optional !== true && !hasSeen(judged, i, stage))
          .map(({ stage }) => ({ boot: i + 1, stage })),
  );
}

/** How it stands after `seconds`; null while there is something to wait for. */
export function outcomeAt(judged: Judged, seconds: number, patience: Patience): Outcome | null {
  const { done, failures } = judged;
  const wrong = failures.filter(({ mended }) => !mended);
  if (done) return wrong.length === 0 ? 'passed' : 'failed';
  const hopeless = wrong.some(
    (one) => !isRetried(one.code) && seconds - one.atSeconds >= patience.graceSeconds,
  );
  if (hopeless) return 'failed';
  if (seconds < patience.timeoutSeconds) return null;
  return wrong.length === 0 ? 'timeout' : 'failed';
}

/** The console is at its end: there is nothing more to wait for. */
export function closed(judged: Judged, seconds: number): Judged {
  if (judged.done) return judged;
  const [next] = missingStages(judged);
  const message = `the console ended before ${next?.stage ?? 'ready'}`;
  return withFailure(judged, consoleFailure(judged, 'CONSOLE_ENDED', message, null, seconds));
}

/** Codes of the table say it themselves; of others (a newer node's) nothing is known: it may go on. */
function isRetried(code: string): boolean {
  if (code === 'RESTARTED') return true;
  if (code in CONSOLE_CODES) return false;
  return code in CODES ? CODES[code as keyof typeof CODES].retry : true;
}

function judgeStage(judged: Judged, marker: MarkerRecord, seconds: number): Judged {
  if (marker.stage === 'retry') return judged;
  if (marker.stage === 'boot-start') return judgeStart(judged, marker, seconds);
  const boot = bootOf(judged);
  const expected = boot.stages.find(({ stage }) => stage === marker.stage);
  const order = expected === undefined ? [] : orderFailures(judged, expected, seconds);
  const seen = withStage(mend(judged, boot, marker.stage), marker, seconds);
  const after = order.reduce(withFailure, seen);
  const last = judged.flow.boots.at(-1);
  if (marker.stage !== last?.ends) return after;
  if (boot === last) return { ...after, done: true };
  const message = `${marker.stage} came without ${boot.ends}`;
  const other = consoleFailure(judged, 'FLOW_OTHER', message, marker.stage, seconds);
  return { ...withFailure(after, other), done: true };
}

/** A start is the next boot where the one before has reached its end, and a restart elsewhere. */
function judgeStart(judged: Judged, marker: MarkerRecord, seconds: number): Judged {
  if (judged.boots === 0) return withStage({ ...judged, boots: 1 }, marker, seconds);
  const boot = bootOf(judged);
  const next = { ...judged, boots: judged.boots + 1 };
  const more = judged.at < judged.flow.boots.length - 1;
  if (more && hasSeen(judged, judged.at, boot.ends))
    return withStage(mendAll({ ...next, at: judged.at + 1 }), marker, seconds);
  const last = judged.stages.findLast(({ boot: of }) => of === judged.at + 1);
  const message = `the machine started again after ${last?.stage ?? 'boot-start'}`;
  const fresh = { ...next, stages: judged.stages.filter((one) => one.boot !== judged.at + 1) };
  const restarted = consoleFailure(next, 'RESTARTED', message, 'boot-start', seconds);
  return withStage(withFailure(fresh, restarted), marker, seconds);
}

function orderFailures(judged: Judged, expected: Expectation, seconds: number): readonly Failure[] {
  const { stage, after } = expected;
  const boot = bootOf(judged);
  if (hasSeen(judged, judged.at, stage)) return [];
  const isRequired = (name: string) =>
    boot.stages.some((one) => one.stage === name && one.optional !== true);
  const missing = after.filter((name) => isRequired(name) && !hasSeen(judged, judged.at, name));
  const later = boot.stages.filter(
    (one) => one.after.includes(stage) && hasSeen(judged, judged.at, one.stage),
  );
  // Where the one that was missing comes after all, its absence was told already.
  const told = expected.optional !== true;
  return [
    ...missing.map((name) =>
      consoleFailure(judged, 'MARKER_MISSING', `${stage} came without ${name}`, stage, seconds),
    ),
    ...(told ? [] : later).map((one) =>
      consoleFailure(judged, 'MARKER_ORDER', `${stage} came after ${one.stage}`, stage, seconds),
    ),
  ];
}

/** A failure is made good by its own stage, by one behind it, and by the end of the boot. */
function mend(judged: Judged, boot: BootFlow, reached: string): Judged {
  const before = new Set([reached, ...allBefore(boot, reached)]);
  const isGood = (stage: string | null) =>
    reached === boot.ends ||
    (stage === 'boot-start' ? before.has('enrolled') : stage !== null && before.has(stage));
  return mendWhere(judged, (one) => one.boot === judged.at + 1 && isGood(one.stage));
}

const mendAll = (judged: Judged): Judged => mendWhere(judged, () => true);

/** What the watcher itself found wrong stays wrong. */
const mendWhere = (judged: Judged, isGood: (failure: Failure) => boolean): Judged => ({
  ...judged,
  failures: judged.failures.map((one) =>
    !(one.code in CONSOLE_CODES) && isGood(one) ? { ...one, mended: true } : one,
  ),
});

function allBefore({ stages }: BootFlow, stage: string): readonly string[] {
  const direct: readonly string[] = stages.find((one) => one.stage === stage)?.after ?? [];
  return direct.flatMap((name) => [name, ...allBefore({ stages } as BootFlow, name)]);
}

function withStage(judged: Judged, { stage, fields }: MarkerRecord, seconds: number): Judged {
  const boot = judged.at + 1;
  const known = judged.stages.findIndex((one) => one.boot === boot && one.stage === stage);
  const uptimeSeconds = uptimeOf(fields);
  if (known >= 0)
    return {
      ...judged,
      stages: judged.stages.map((one, i) =>
        i === known ? { ...one, count: one.count + 1, fields } : one,
      ),
    };
  const last = judged.stages.at(-1);
  const byMachine =
    last?.boot === boot && last.uptimeSeconds !== null && uptimeSeconds !== null
      ? uptimeSeconds - last.uptimeSeconds
      : null;
  const took = byMachine ?? seconds - (last?.atSeconds ?? 0);
  const seen: Stage = {
    ...{ boot, stage, count: 1, fields, uptimeSeconds },
    atSeconds: rounded(seconds),
    seconds: rounded(Math.max(0, took)),
  };
  return { ...judged, stages: [...judged.stages, seen] };
}

/** A console that repeats itself is told once, so that what it says for hours fits into memory. */
const withFailure = (judged: Judged, failure: Failure): Judged =>
  judged.failures.some((one) => isSame(one, failure)) || judged.failures.length >= FAILURES_MAX
    ? judged
    : { ...judged, failures: [...judged.failures, failure] };

const isSame = (one: Failure, { boot, stage, code, message }: Failure): boolean =>
  !one.mended &&
  one.boot === boot &&
  one.stage === stage &&
  one.code === code &&
  (stage === null || one.message === message);

const markerFailure = (judged: Judged, { stage, fields }: MarkerRecord, seconds: number) => ({
  boot: judged.at + 1,
  stage,
  code: fields.code ?? 'INTERNAL',
  message: fields.message ?? '',
  hint: fields.hint ?? '',
  atSeconds: rounded(seconds),
  mended: false,
});

const consoleFailure = (
  judged: Judged,
  code: ConsoleCode,
  message: string,
  stage: string | null,
  seconds: number,
): Failure => ({
  ...{ boot: judged.at + 1, stage, code, message: message.slice(0, 512), mended: false },
  hint: CONSOLE_CODES[code].hint,
  atSeconds: rounded(seconds),
});

const bootOf = ({ flow, at }: Judged): BootFlow => flow.boots[at] as BootFlow;

const hasSeen = ({ stages }: Judged, at: number, stage: string): boolean =>
  stages.some((one) => one.boot === at + 1 && one.stage === stage);

/** Seconds since the kernel started; only the markers of the initramfs have it. */
function uptimeOf(fields: Readonly<Record<string, string>>): number | null {
  const seconds = Number(fields.seconds);
  return fields.seconds !== undefined && Number.isFinite(seconds) ? seconds : null;
}

const rounded = (seconds: number) => Math.round(seconds * 100) / 100;

/** A line that a serial line has damaged is no marker. */
function parsed(line: string): MarkerRecord | null {
  try {
    return parseMarker(line);
  } catch {
    return null;
  }
}
