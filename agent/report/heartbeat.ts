// Puts a heartbeat together from what others have measured. What was not measured is left out.

import type { Digest } from '#shared/digest.ts';
import type { Condition, Heartbeat, Phase } from '#shared/schema/heartbeat.ts';
import { VERSION } from '#shared/version.ts';
import type { Vitals } from '../drivers/host.ts';
import type { BootedSlot } from '../handover.ts';
import type { LoopStatus } from '../reconcile/loop.ts';

export interface HeartbeatParts {
  readonly bootId: string;
  readonly vitals: Vitals;
  readonly status: LoopStatus;
  /** Null where the root is not a system image. */
  readonly systemImage: Digest | null;
  /** Null where the machine was not started from a boot slot. */
  readonly slot: Heartbeat['slot'] | null;
  /** Of the boot, the link and the agent itself. */
  readonly conditions: readonly Condition[];
  /** When the machine is taken away, in Unix milliseconds; null while nobody said so. */
  readonly preemption: number | null;
  /** The agent is going down, and the machine perhaps with it. */
  readonly stopping: boolean;
}

const CONDITIONS_MAX = 64;

export function buildHeartbeat(parts: HeartbeatParts): Heartbeat {
  const { bootId, vitals, status, systemImage, stopping } = parts;
  const phase: Phase = stopping ? 'stopping' : status.phase;
  return {
    bootId,
    agentVersion: VERSION,
    phase,
    generation: status.generation,
    ...(systemImage === null ? {} : { systemImage }),
    ...(status.staged === null ? {} : { staged: status.staged }),
    modules: [...status.modules],
    ...(parts.slot ? { slot: parts.slot } : {}),
    ...(status.lastReconcile === undefined ? {} : { lastReconcile: status.lastReconcile }),
    ...(status.verdicts.length === 0 ? {} : { verdicts: [...status.verdicts] }),
    conditions: distinct([...parts.conditions, ...status.conditions]).slice(0, CONDITIONS_MAX),
    ...(parts.preemption === null
      ? {}
      : { preemption: { endsAt: new Date(parts.preemption).toISOString() } }),
    ...vitals,
  };
}

export const slotNews = ({
  slot,
  entry,
  triesLeft,
}: BootedSlot): NonNullable<Heartbeat['slot']> => ({
  name: slot,
  entry,
  ...(triesLeft === null ? {} : { triesLeft }),
});

/** One of each code and text, in order, cut to what the wire allows. */
function distinct(conditions: readonly Condition[]): Condition[] {
  const seen = new Map<string, Condition>();
  for (const { code, text, hint } of conditions) {
    const key = `${code} ${text}`;
    if (!seen.has(key))
      seen.set(key, { code, text: text.slice(0, 1024), hint: hint.slice(0, 1024) });
  }
  return [...seen.values()];
}
