// Why an instance does not get on: near or past the deadline of its state, or failed with nobody to end
// it, and what the last that was heard of it points to. Pure, as ../rules.ts is.

import { sha256 } from '#shared/digest.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { Condition, Heartbeat } from '#shared/schema/heartbeat.ts';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import type { ProviderFault } from '#shared/schema/provider.ts';
import { isoTime } from '../../ids.ts';
import { deadlinesOf, type Waiting, waitsForPlan } from '../../nodes/lifecycle-deadlines.ts';
import { type Finding, headOf, type Limits, type Moment, type Sight, UNKNOWN } from '../rules.ts';

/** An instance as far as its progress is concerned. */
export interface Waiter extends Waiting {
  readonly id: InstanceId;
  readonly node: NodeName | null;
  readonly reason: string;
  readonly generation: number;
  readonly rejected: readonly { readonly generation: number; readonly reason: string }[];
  readonly boot: { readonly ordered: boolean; readonly token: string | null };
  readonly facts: Facts | null;
  /** Of its provider's last call; null where a person provides it. */
  readonly fault: ProviderFault | null;
  readonly hasMachine: boolean;
  /** The newest one. */
  readonly heartbeat: Heartbeat | null;
  readonly lastSeenAt: number | null;
  /** Why its installation was refused or failed, as it last said. */
  readonly installProblem: Condition | null;
}

/** Said from this part of a deadline on, so that somebody can act before it. */
const NEAR = 0.8;
const SILENT_MS = 2 * 60_000;

/** Of machines that run well, too. */
const HARMLESS: ReadonlySet<string> = new Set([
  'BOOT_UNVERIFIED',
  'CORDONED',
  'DRAINED',
  'REBOOT_PENDING',
  'SYSTEM_UNMANAGED',
  'VERITY_UNAVAILABLE',
]);

/** Whether it is worth to look closer: cheap, of the record alone. */
export function isNearDeadline(one: Waiting, now: number): boolean {
  if (waitsForPlan(one)) return true;
  const [first] = deadlinesOf(one);
  if (first === undefined) return one.state === 'failed';
  return first.action !== 'finish' && now - one.stateSince >= first.afterMs * NEAR;
}

export function stuckSight(one: Waiter, { now, steadyMs }: Moment, limits: Limits): Sight {
  if (!isNearDeadline(one, now)) return { is: 'clear', why: `it is ${one.state}` };
  // Nobody could report while no coordinator was there.
  if (one.state !== 'failed' && steadyMs < limits.silentAfterMs) return UNKNOWN;
  return { is: 'found', finding: stuck(one, now) };
}

function stuck(one: Waiter, now: number): Finding {
  const { id, node, state, stateSince } = one;
  const minutes = Math.floor((now - stateSince) / 60_000);
  const limit = deadlinesOf(one)[0]?.afterMs;
  const since = `${node ?? id} is ${state} for ${minutes} min`;
  const after = limit === undefined ? '' : `; it may be for ${Math.round(limit / 60_000)}`;
  const { cause, hint, steps = [] } = likelyCause(one, now);
  return {
    fingerprint: sha256(JSON.stringify([state, stateSince, headOf(cause)])),
    text: textOf(one, since + after),
    cause: cause.slice(0, 1024),
    hint: hint.slice(0, 1024),
    drift: null,
    steps,
  };
}

function textOf(one: Waiter, since: string): string {
  const name = one.node ?? one.id;
  if (waitsForPlan(one)) return `${name} ${waitText(one)}, and waits for a person`;
  return one.state === 'failed' ? `${name} has failed, and waits for a person` : since;
}

const waitText = ({ installProblem }: Waiter): string =>
  installProblem === null ? 'shows what it would install' : 'cannot be installed as its plan says';

type Cause = Pick<Finding, 'cause' | 'hint'> & Partial<Pick<Finding, 'steps'>>;

/** What is most telling first; each is what somebody said, and only the last a guess. */
export function likelyCause(one: Waiter, now: number): Cause {
  const { id, state, reason, fault, heartbeat } = one;
  if (state === 'failed')
    return { cause: reason, hint: `billet instance terminate ${id}, then provision it again` };
  if (fault !== null) return { cause: `${fault.code}: ${fault.message}`, hint: fault.hint };
  if (state === 'installing' && one.installProblem !== null)
    return installCause(one.installProblem, id);
  if (state === 'bootstrapping' || state === 'draining' || state === 'installing') {
    const said = heartbeat === null ? null : complaintOf(one, heartbeat, now);
    if (said !== null) return said;
    if (heartbeat === null && state === 'bootstrapping') return contactCause(one);
  }
  if (waitsForPlan(one))
    return { cause: reason, hint: 'boot it without billet.install=dry-run, and it installs' };
  if (state === 'pending' || state === 'provisioning') return bootCause(one);
  const deadline = deadlinesOf(one)[0];
  return {
    cause: deadline?.reason ?? reason,
    hint: (deadline?.hint ?? `billet instance show ${id}`).replaceAll('ID', id),
  };
}

const installCause = ({ code, text, hint }: Condition, id: InstanceId): Cause => ({
  cause: `${code}: ${text}`,
  hint: `billet instance show ${id} lists its disks; ${hint}`,
});

/** What the node itself said of it, or that it says nothing any more. */
function complaintOf(one: Waiter, heartbeat: Heartbeat, now: number): Cause | null {
  const { id, lastSeenAt, rejected, generation } = one;
  const { lastReconcile, conditions, phase } = heartbeat;
  const logs = `billet task create collect-logs ${id} --unit billet-agent.service --wait`;
  if (lastReconcile?.outcome === 'failed') {
    const { code = 'INTERNAL', message = '' } = lastReconcile;
    const known = conditions.find((condition) => condition.code === code);
    return { cause: `${code}: ${message}`, hint: known?.hint || logs };
  }
  const no = rejected.find((each) => each.generation === generation);
  if (no)
    return {
      cause: `generation ${generation} was rejected: ${no.reason}`,
      hint: `mend or replace the module, then change the node`,
    };
  const worst = conditions.find(({ code }) => !HARMLESS.has(code));
  if (worst) return conditionCause(worst);
  if (lastSeenAt !== null && now - lastSeenAt >= SILENT_MS)
    return {
      cause: `it fell silent in phase ${phase}, at ${isoTime(lastSeenAt)}`,
      hint: 'the last BILLET_MARKER line on its console says which stage it is in',
    };
  return null;
}

const conditionCause = ({ code, text, hint }: Condition): Cause => ({
  cause: `${code}: ${text}`,
  hint,
});

/** It enrolled, and said nothing since. */
const contactCause = ({ facts }: Waiter): Cause => ({
  cause: `it enrolled (kernel ${facts?.kernelRelease ?? 'not known'}), and no heartbeat followed: it pulls, verifies or composes, or cannot`,
  hint: 'the last BILLET_MARKER or BILLET_FAILURE line on its console says which stage it is in',
});

/** It never enrolled: how far its boot came. */
function bootCause({ id, boot, hasMachine }: Waiter): Cause {
  const console = hasMachine ? 'read the console log of its machine' : 'read its console';
  if (boot.token !== null)
    return {
      cause:
        'its boot script was fetched, with a token, and nobody enrolled with it: the kernel does not come up, or the coordinator is not reached from there',
      hint: `${console}: BILLET_FAILURE lines say why; billet signal approve ${id}.stuck lets another boot have a token`,
      steps: ['boot'],
    };
  if (!boot.ordered)
    return {
      cause: 'its boot had no token: none was ordered, or it was used up',
      hint: `billet signal approve ${id}.stuck lets the next boot have one`,
      steps: ['boot'],
    };
  return {
    cause: 'no boot script was fetched: it is switched off, or does not boot from the network',
    hint: `${console}; DHCP has to point at /boot/boot.ipxe of the coordinator`,
  };
}
