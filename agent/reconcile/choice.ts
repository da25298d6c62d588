// Which generation this pass is about, of the wanted one and those to go back to; what the planner has to
// know of it. Changes nothing.

import type { Desired, Envelope } from '#shared/schema/desired.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { type DesiredDocument, readEnvelope } from '../link/desired.ts';
import type { StateFiles } from './state.ts';
import { chooseGeneration, rankFallbacks } from './verdict.ts';
import type { Wanted } from './world.ts';

export interface Choice {
  readonly chosen: Candidate;
  /** To go back to, best first. */
  readonly others: readonly Candidate[];
  readonly leave: boolean;
  /** Why it was rejected, where there is no other generation to go back to; null where it was not. */
  readonly rejected: string | null;
}

export interface Candidate {
  readonly generation: number;
  readonly envelope: Envelope;
  readonly desired: Desired;
}

interface ChoiceDeps {
  readonly state: StateFiles;
  readonly instance: InstanceId;
  readonly bootedGeneration: number;
}

export function choose(document: DesiredDocument, deps: ChoiceDeps): Choice {
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
  const here = record.rejected.find(({ generation }) => generation === chosen.generation);
  const reason = here?.reason ?? 'another life of this node rejected it';
  const isRejected = rejected.includes(chosen.generation);
  return { chosen, others, leave, rejected: isRejected ? reason : null };
}

function candidate(envelope: Envelope, instance: InstanceId): Candidate {
  const desired = readEnvelope(envelope, instance);
  return { generation: desired.generation, envelope, desired };
}

export function wantedOf(
  { chosen, others, leave, rejected }: Choice,
  { sweep, held }: Pick<Wanted, 'sweep' | 'held'>,
  { state, instance }: ChoiceDeps,
): Wanted {
  const { good } = state.record;
  const own = good === null ? [] : readEnvelope(good.envelope, instance).modules;
  return {
    desired: chosen.desired,
    keep: [...own, ...(others[0]?.desired.modules ?? [])],
    settled: good?.generation === chosen.generation,
    rejected: rejected !== null,
    ...{ leave, sweep, held },
  };
}
