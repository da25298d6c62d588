// Whether a node runs the modules that it should, and what may be done where it does not. Pure, as
// ../rules.ts is.

import { sha256 } from '#shared/digest.ts';
import type { Heartbeat } from '#shared/schema/heartbeat.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import type { Difference, Drift, RemedyStep } from '#shared/schema/signal.ts';
import {
  clear,
  type Finding,
  type Limits,
  type Moment,
  type Sight,
  type Speaker,
  silentSince,
  UNKNOWN,
} from '../rules.ts';

/** The part of a heartbeat that is compared. */
export type Running = Pick<Heartbeat, 'modules' | 'systemImage'>;

/**
 * What has to change so that what runs is what is wanted; null when nothing has, or nothing was
 * measured. System modules are compared where the root is a system image of Billet's.
 */
export function driftBetween(wanted: readonly ModuleRef[], running: Running): Drift | null {
  if (running.modules === undefined) return null;
  const isManaged = running.systemImage !== undefined;
  const should = wanted.filter(({ kind }) => isManaged || kind === 'service');
  const does = running.modules.filter(({ state }) => isManaged || state !== 'merged');
  const byName = new Map(does.map((each) => [each.name, each]));
  const names = new Set(should.map(({ name }) => name));
  const compared = should.map(({ name, version, manifest }): Difference => {
    const found = byName.get(name);
    return {
      module: name,
      wanted: { version, manifest },
      running: found
        ? { version: found.version, manifest: found.manifest, state: found.state }
        : null,
    };
  });
  const isOther = (one: Difference) =>
    one.running !== null && one.running.manifest !== one.wanted?.manifest;
  const isDown = (one: Difference) => one.running === null || one.running.state === 'failed';
  const drift = {
    attach: compared.filter((one) => !isOther(one) && isDown(one)),
    detach: does
      .filter(({ name }) => !names.has(name))
      .map(({ name, version, manifest, state }) => ({
        ...{ module: name, wanted: null, running: { version, manifest, state } },
      })),
    update: compared.filter(isOther),
  };
  return sizeOf(drift) === 0 ? null : drift;
}

const sizeOf = ({ attach, detach, update }: Drift) => attach.length + detach.length + update.length;

/** An instance as far as its modules are concerned. */
export interface Follower extends Speaker {
  /** What it should be. */
  readonly generation: number;
  /** Why its node could not run that; null when it did not say so. */
  readonly rejected: string | null;
  /** It keeps what it has until an operator accepts it: newer than a restored backup. */
  readonly isAhead: boolean;
  /** Null where it has no node, or nothing was measured. */
  readonly drift: Drift | null;
  /** For how long it was seen to differ, at this generation. */
  readonly differsMs: number;
  readonly said: Said | null;
}

/** What the newest heartbeat said beside the modules. */
export interface Said extends Pick<Heartbeat, 'generation' | 'staged' | 'conditions'> {
  readonly lastReconcile?: Omit<NonNullable<Heartbeat['lastReconcile']>, 'at' | 'steps'>;
}

/** A generation that was not taken up yet may have gigabytes to pull. */
const PULLING = 5;
/** So often the agent is asked to look again, and a service is brought up from nothing. */
const UPDATE_STEPS: readonly RemedyStep[] = ['reconcile', 'reconcile', 'reconcile'];
const ATTACH_STEPS: readonly RemedyStep[] = ['reconcile', 'restart', 'restart'];

export function driftSight(one: Follower, moment: Moment, limits: Limits): Sight {
  if (one.state !== 'running') return clear(`it is ${one.state}`);
  if (one.isAhead) return clear('it waits to be accepted after a restore');
  if (one.said === null) return UNKNOWN;
  // What it said last is old: silence has a signal of its own.
  if (moment.now - silentSince(one) >= limits.silentAfterMs || one.isQuiet) return UNKNOWN;
  if (one.drift === null) return clear('what runs is what is wanted');
  const isAtWork =
    one.said.generation < one.generation && one.said.lastReconcile?.outcome !== 'failed';
  if (one.differsMs < limits.driftAfterMs * (isAtWork ? PULLING : 1)) return UNKNOWN;
  return { is: 'found', finding: drifted(one, one.said, one.drift) };
}

function drifted(one: Follower, said: Said, drift: Drift): Finding {
  const key = (list: readonly Difference[]) =>
    list.map(({ module, wanted, running }) => [module, wanted?.manifest, running?.manifest]);
  const { attach, detach, update } = drift;
  const names = (list: readonly Difference[]) => list.map(({ module }) => module).join(', ');
  const sets = Object.entries({ attach, detach, update }).filter(([, list]) => list.length > 0);
  const text = sets.map(([set, list]) => `${set} ${names(list)}`).join('; ');
  return {
    fingerprint: sha256(JSON.stringify([key(attach), key(detach), key(update), one.rejected])),
    text: `${one.node ?? one.id} does not run what it should: ${text}`.slice(0, 1024),
    drift,
    ...remedyOf(one, said, drift),
  };
}

/**
 * What runs is never stopped for a version that may not come up: only services that are down are
 * brought up from nothing.
 */
function remedyOf(
  { id, node, generation, rejected }: Follower,
  { staged, lastReconcile, conditions }: Said,
  { attach }: Drift,
): Pick<Finding, 'cause' | 'hint' | 'steps'> {
  if (rejected !== null)
    return {
      cause: `generation ${generation} was rejected: ${rejected}`.slice(0, 1024),
      hint: `mend or replace the module, then change the node: billet node show ${node ?? id}`,
      steps: [],
    };
  if (staged === generation)
    return {
      cause: `REBOOT_PENDING: generation ${generation} has another system, which the next boot takes up`,
      hint: `billet signal approve ${id}.drift reboots it, as billet task create reboot ${id} does`,
      steps: ['reboot'],
    };
  const steps = attach.length > 0 ? ATTACH_STEPS : UPDATE_STEPS;
  const logs = `billet task create collect-logs ${id} --unit billet-agent.service --wait`;
  if (lastReconcile?.outcome === 'failed') {
    const { code = 'INTERNAL', message = '' } = lastReconcile;
    const known = conditions.find((condition) => condition.code === code);
    const cause = `${code}: ${message}`.slice(0, 1024);
    return { cause, hint: known?.hint || logs, steps };
  }
  const down = conditions.find(({ code }) => code === 'SERVICE_DOWN');
  if (down) return { cause: `${down.code}: ${down.text}`.slice(0, 1024), hint: down.hint, steps };
  return { cause: 'the agent reports no failure', hint: logs, steps };
}
