// What went wrong with an instance, and when: the plainest of what is known. Decides from a story.

import type { FailureKind } from '#shared/schema/why.ts';
import { momentOf } from './moment.ts';
import type { Story } from './story.ts';

export interface Failure {
  readonly kind: FailureKind;
  /** Unix milliseconds. */
  readonly at: number;
  readonly text: string;
  /** Where it can be read. */
  readonly source: string;
  /** Modules that it names. */
  readonly modules: readonly string[];
  /** That it is about; null where none can be told. */
  readonly generation: number | null;
}

const SILENT_MS = 300_000;
/** States in which heartbeats are expected. */
const HEARD = ['bootstrapping', 'running', 'draining'];

/** In this order: what an instance ended with, what it cannot get, what it says, what others noticed. */
export const failureOf = (story: Story): Failure | null =>
  ended(story) ??
  refused(story) ??
  moduleFailed(story) ??
  reconcileFailed(story) ??
  rejected(story) ??
  noticed(story) ??
  silent(story);

function ended({ instance, events }: Story): Failure | null {
  const nothing = { modules: [], generation: null };
  if (instance.state === 'failed')
    return {
      ...nothing,
      kind: instance.fault === null ? 'failed' : 'provider',
      at: instance.stateSince,
      text: instance.reason || 'it failed, and nothing says why',
      source: 'instance',
    };
  // What came after a failure hides it: its event does not.
  const event = ['terminating', 'terminated'].includes(instance.state)
    ? events.findLast(({ kind }) => kind === 'instance.failed')
    : undefined;
  if (event === undefined) return null;
  const { revision, text } = event;
  return { ...nothing, kind: 'failed', at: momentOf(event.at), text, source: `event ${revision}` };
}

function refused({ instance }: Story): Failure | null {
  const { fault, stateSince } = instance;
  if (fault === null) return null;
  const text = `${fault.code}: ${fault.message}`;
  return {
    kind: 'provider',
    at: stateSince,
    text,
    source: 'machine',
    modules: [],
    generation: null,
  };
}

function moduleFailed({ heartbeat: found }: Story): Failure | null {
  const { heartbeat, at } = found ?? { heartbeat: null, at: 0 };
  const modules = heartbeat?.modules?.filter(({ state }) => state === 'failed') ?? [];
  if (heartbeat === null || modules.length === 0) return null;
  const last = heartbeat.lastReconcile;
  const said = last?.outcome === 'failed' ? `: ${[last.code, last.message].join(' ')}` : '';
  return {
    kind: 'module',
    at,
    text: `${modules.map(({ name }) => name).join(', ')} should run and does not${said}`,
    source: 'heartbeat',
    modules: modules.map(({ name }) => name),
    generation: heartbeat.generation || null,
  };
}

function reconcileFailed({ heartbeat: found, instance }: Story): Failure | null {
  const last = found?.heartbeat.lastReconcile;
  if (found === null || last?.outcome !== 'failed') return null;
  return {
    kind: 'reconcile',
    at: found.at,
    text: [last.code, last.message].filter(Boolean).join(': '),
    source: 'heartbeat',
    modules: [],
    generation: instance.generation,
  };
}

/** Only while it is what the node should be: an older one was answered by a newer. */
function rejected({ instance, events, now, lookbackMs }: Story): Failure | null {
  const last = instance.rejected.at(-1);
  if (last === undefined || last.generation !== instance.generation) return null;
  const event = events.findLast(
    ({ kind, details }) => kind === 'generation.rejected' && details.generation === last.generation,
  );
  return {
    kind: 'rejected',
    at: event === undefined ? now - lookbackMs : momentOf(event.at),
    text: `generation ${last.generation} was rejected: ${last.reason}`,
    source: event === undefined ? 'instance' : `event ${event.revision}`,
    modules: [],
    generation: last.generation,
  };
}

const BY_SIGNAL = {
  'instance.silent': 'silent',
  'instance.stuck': 'stuck',
  'module.drift_detected': 'drift',
} as const;

function noticed({ signals, instance, heartbeat }: Story): Failure | null {
  const [open] = signals
    .filter(({ state }) => state !== 'resolved')
    .toSorted((one, other) => momentOf(one.openedAt) - momentOf(other.openedAt));
  if (open === undefined) return null;
  const kind = BY_SIGNAL[open.kind];
  // It was noticed later than it happened.
  const last = instance.lastSeenAt ?? heartbeat?.at;
  const at = kind === 'silent' && last !== undefined ? last : momentOf(open.openedAt);
  const { id, text } = open;
  return { kind, at, text, source: `signal ${id}`, modules: [], generation: null };
}

function silent({ instance, now }: Story): Failure | null {
  const { state, connected, lastSeenAt } = instance;
  if (connected || lastSeenAt === null || !HEARD.includes(state)) return null;
  if (now - lastSeenAt < SILENT_MS) return null;
  const text = `no heartbeat for ${Math.round((now - lastSeenAt) / 60_000)} min`;
  return {
    ...{ kind: 'silent', at: lastSeenAt, text, source: 'instance' },
    ...{ modules: [], generation: null },
  };
}
