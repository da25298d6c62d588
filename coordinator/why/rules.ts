// Ranks what changed before a failure. Pure: from a story to an answer, the same each time.
//
// A cause's score is a sum: what its kind weighs, how shortly before the failure it was, whether the
// failure names it, whether its kind leads to such failures, whether it came with the generation that
// failed, and how the same manifest does elsewhere. Each part that counted stands in its reasons.

import type { Digest } from '#shared/digest.ts';
import type { Cause, CauseKind, FailureKind, Why } from '#shared/schema/why.ts';
import { generationSuspects, type Suspect } from './changes.ts';
import { type Failure, failureOf } from './failure.ts';
import { eventSuspects, providerSuspects, reportSuspects, signalSuspects } from './happenings.ts';
import { isoOf } from './moment.ts';
import type { Story } from './story.ts';

const WEIGHTS: Readonly<Record<CauseKind, number>> = {
  report: 35,
  module: 30,
  boot_image: 30,
  provider: 25,
  certificate: 25,
  settings: 20,
  host: 20,
  coordinator: 15,
  operator: 15,
  task: 15,
  signal: 10,
};

/** Kinds that lead to such a failure more often than others. */
const FITS: Readonly<Record<FailureKind, readonly CauseKind[]>> = {
  failed: ['report', 'provider', 'module', 'boot_image'],
  provider: ['provider'],
  module: ['module', 'settings', 'report'],
  reconcile: ['report', 'module', 'boot_image'],
  rejected: ['module', 'boot_image', 'settings'],
  silent: ['host', 'certificate', 'provider', 'boot_image'],
  stuck: ['provider', 'report', 'module'],
  drift: ['report', 'operator', 'module'],
};

const NEAR = 30;
const HALVES_MS = 600_000;
const NAMED = 25;
const FITTING = 15;
const SAME_GENERATION = 10;
const FAILS_ELSEWHERE = 10;
const WELL_ELSEWHERE = -15;
/** A change may reach the store this much after what came of it: the node's own times are others. */
const AFTER_MS = 5_000;
const CAUSES_MAX = 16;
const HIGH = 75;
const MEDIUM = 50;
const LEAD = 10;

/** The likeliest first; of two that weigh the same, the later one. */
export function explain(story: Story): Omit<Why, 'looked'> {
  const failure = failureOf(story);
  const end = failure?.at ?? story.now;
  const suspects = [
    ...generationSuspects(story),
    ...reportSuspects(story),
    ...providerSuspects(story),
    ...eventSuspects(story),
    // The signal that is the failure is not its cause.
    ...signalSuspects(story).filter(({ evidence }) => evidence[0]?.source !== failure?.source),
  ];
  const causes = merged(
    suspects
      .filter(({ at }) => at <= end + AFTER_MS && at >= end - story.lookbackMs)
      .map((suspect) => weighed(suspect, failure, end, story)),
  );
  return {
    instance: story.instance.id,
    node: story.instance.node,
    failure: failure && {
      kind: failure.kind,
      at: isoOf(failure.at),
      text: failure.text,
      source: failure.source,
    },
    ...verdictOf(failure, causes),
    causes,
  };
}

function weighed(suspect: Suspect, failure: Failure | null, end: number, story: Story): Cause {
  const { kind, what, hint, evidence, at } = suspect;
  const parts: (readonly [number, string])[] = [[WEIGHTS[kind], `a change of the kind ${kind}`]];
  if (suspect.symptom === undefined) {
    const beforeMs = Math.max(0, end - at);
    const near = Math.round(NEAR * 2 ** (-beforeMs / HALVES_MS));
    const of = failure === null ? 'ago' : 'before the failure';
    if (near > 0) parts.push([near, `${lasting(beforeMs)} ${of}`]);
  }
  if (failure !== null) parts.push(...tied(suspect, failure));
  const seen = story.elsewhere.get(suspect.manifest as Digest);
  if (seen !== undefined && seen.failed > 0)
    parts.push([FAILS_ELSEWHERE, `the same manifest fails on ${seen.failed} others`]);
  else if (seen !== undefined && seen.well > 0)
    parts.push([WELL_ELSEWHERE, `the same manifest runs well on ${seen.well} others`]);
  const sum = parts.reduce((total, [points]) => total + points, 0);
  return {
    ...{ kind, what, hint, at: isoOf(at) },
    score: Math.min(100, Math.max(1, sum)),
    reasons: parts.map(([points, text]) => `${points > 0 ? '+' : ''}${points} ${text}`),
    evidence: [...evidence],
  };
}

function tied(suspect: Suspect, failure: Failure): (readonly [number, string])[] {
  const { kind, module, generation, words = [] } = suspect;
  const name = [...(module === undefined ? [] : [module]), ...words].find(
    (word) => failure.modules.includes(word) || hasWord(failure.text, word),
  );
  const parts: (readonly [number, string])[] = [];
  if (name !== undefined) parts.push([NAMED, `the failure names ${name}`]);
  if (FITS[failure.kind].includes(kind))
    parts.push([FITTING, `such a change leads to failures of the kind ${failure.kind}`]);
  if (generation !== undefined && generation === failure.generation)
    parts.push([SAME_GENERATION, `it came with generation ${generation}, which failed`]);
  return parts;
}

/** As a word of its own: `web` is not in `website`. */
const hasWord = (text: string, word: string): boolean =>
  text.split(/[^A-Za-z0-9_.-]+/).some((one) => one.replace(/[.:,]+$/, '') === word);

/** What is said more than once is one cause, with all its evidence. */
function merged(causes: readonly Cause[]): Cause[] {
  const known = new Map<string, Cause>();
  for (const cause of causes) {
    const key = `${cause.kind} ${cause.what}`;
    const before = known.get(key);
    if (before === undefined) known.set(key, cause);
    else {
      const best = before.score >= cause.score ? before : cause;
      const evidence = [...before.evidence, ...cause.evidence].slice(-CAUSES_MAX);
      known.set(key, { ...best, evidence });
    }
  }
  return [...known.values()]
    .sort((one, other) => other.score - one.score || other.at.localeCompare(one.at))
    .slice(0, CAUSES_MAX);
}

function verdictOf(
  failure: Failure | null,
  [first, second]: readonly Cause[],
): Pick<Why, 'confidence' | 'reasoning'> {
  if (failure === null) {
    const reasoning = 'nothing is wrong with it that the coordinator knows of';
    return { confidence: 'none', reasoning };
  }
  if (first === undefined)
    return { confidence: 'none', reasoning: 'nothing that is recorded changed before the failure' };
  const lead = first.score - (second?.score ?? 0);
  const others = second === undefined ? 'nothing else changed' : `the next one has ${second.score}`;
  const confidence =
    first.score >= HIGH && lead >= LEAD ? 'high' : first.score >= MEDIUM ? 'medium' : 'low';
  return { confidence, reasoning: `${first.what} (${first.score} points; ${others})` };
}

function lasting(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
