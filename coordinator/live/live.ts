// The nodes that speak to this coordinator now: what they last said, and who has to be told what.
// State changes are written at once, by nodes/heartbeat-writes.ts; that a node was seen, later.

import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { Heartbeat, HeartbeatReply } from '#shared/schema/heartbeat.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { aheadView } from '../backup/records.ts';
import { drainOf } from '../drain/drain-of.ts';
import type { InstallReports } from '../installs/reports.ts';
import { comebackView } from '../nodes/comebacks.ts';
import { recordHeartbeat, significance } from '../nodes/heartbeat-writes.ts';
import { isLive } from '../nodes/lifecycle.ts';
import type { Presence } from '../nodes/views.ts';
import type { Records } from '../records.ts';
import type { Changes } from './changes.ts';
import type { Liveness } from './liveness.ts';
import { type View, type Views, waitingTasks } from './views.ts';

export interface Live {
  /** What the instance is now. CERTIFICATE_INVALID when it has ended, or never was. */
  view(instance: InstanceId): Promise<View>;
  /** Takes a heartbeat in: written when it says something new, remembered when not. */
  heartbeat(instance: InstanceId, heartbeat: Heartbeat): Promise<HeartbeatReply>;
  /**
   * The same for a heartbeat that says what `like` said, but for what only moves, without waiting
   * for anything. Null, and nothing done, unless `like` is the newest and the instance is in memory.
   */
  repeated(instance: InstanceId, heartbeat: Heartbeat, like: Heartbeat): HeartbeatReply | null;
  /** The newest heartbeat and the last sign of life, here or at any coordinator. */
  presence(instance: InstanceId): Promise<Presence>;
  /** Resolves at the next change of the instance, or when `signal` aborts. */
  nextChange(instance: InstanceId, signal: AbortSignal): Promise<void>;
  /** How many nodes have a channel open here. */
  connectedCount(): number;
}

export interface LiveOptions {
  readonly records: Records;
  readonly installs: Pick<InstallReports, 'newest'>;
  readonly views: Views;
  readonly changes: Changes;
  readonly liveness: Liveness;
  readonly connections: { has(instance: InstanceId): boolean; count(): number };
  readonly heartbeatSeconds: number;
  /** Fingerprints of the CAs, the issuing one first. */
  readonly trusted: () => readonly Digest[];
}

interface Said {
  readonly heartbeat: Heartbeat;
  readonly meaning: string;
}

export function live(options: LiveOptions): Live {
  const { records, installs, views, changes, liveness, connections } = options;
  const newest = new Map<InstanceId, Said>();
  changes.listen((instance) => (instance === null ? views.dropAll() : views.drop(instance)));

  async function lastSaid(instance: InstanceId): Promise<Said | null> {
    const known = newest.get(instance);
    if (known) return known;
    const found = await records.heartbeats.get(instance);
    const heartbeat = found?.record.heartbeat;
    return heartbeat ? { heartbeat, meaning: significance(heartbeat) } : null;
  }

  async function view(instance: InstanceId): Promise<View> {
    const found = await views.get(instance);
    if (found && isLive(found.state)) return found;
    newest.delete(instance);
    throw new BilletError('CERTIFICATE_INVALID', `the instance ${instance} has ended`, {
      hint: 'the machine belongs to no node any more: create one, or switch it off',
      details: { state: found?.state ?? null },
    });
  }

  function take(instance: InstanceId, said: Said): number {
    newest.set(instance, said);
    const now = records.clock.now();
    liveness.seen(instance, now);
    return now;
  }

  const reply = (view: View, now: number): HeartbeatReply => ({
    desired: view.desired,
    tasks: waitingTasks(view, now),
    confirmed: view.confirmed,
    intervalSeconds: options.heartbeatSeconds,
    trusted: [...options.trusted()],
  });

  return {
    view,

    async heartbeat(instance, heartbeat) {
      await view(instance);
      const meaning = significance(heartbeat);
      if ((await lastSaid(instance))?.meaning !== meaning) {
        await recordHeartbeat(records, instance, heartbeat);
        // The reply shows what this very heartbeat did, before the watch comes round.
        views.drop(instance);
      }
      const now = take(instance, { heartbeat, meaning });
      return reply(await view(instance), now);
    },

    repeated(instance, heartbeat, like) {
      const said = newest.get(instance);
      const current = views.known(instance);
      if (said?.heartbeat !== like || current === null || !isLive(current.state)) return null;
      return reply(current, take(instance, { heartbeat, meaning: said.meaning }));
    },

    async presence(instance) {
      const [said, lastSeenAt, back, drain, comeback, install] = await Promise.all([
        lastSaid(instance),
        liveness.lastSeen(instance),
        records.returns.get(instance),
        drainOf(records, instance),
        records.comebacks.get(instance),
        installs.newest(instance),
      ]);
      const heartbeat = said?.heartbeat ?? null;
      const cameBack = comebackView(comeback?.record);
      const ahead = aheadView(instance, back?.record ?? null);
      return {
        heartbeat,
        lastSeenAt,
        connected: connections.has(instance),
        ahead,
        drain,
        cameBack,
        install,
      };
    },

    nextChange: changes.next,
    connectedCount: () => connections.count(),
  };
}
