// Wires what concerns connected nodes: views, changes, channels, liveness.

import type { Clock } from '#shared/clock.ts';
import type { Authorities } from '../ca/authorities.ts';
import type { Callers } from '../caller.ts';
import type { Config } from '../config.ts';
import { installReports } from '../installs/reports.ts';
import type { Log } from '../log.ts';
import { sweepEvery } from '../nodes/sweep.ts';
import type { Records } from '../records.ts';
import { followChanges } from './changes.ts';
import { type Channels, channels as openChannels } from './channel.ts';
import { live as openLiveNodes } from './live.ts';
import { liveness as openLiveness } from './liveness.ts';
import { nudgeAtChanges } from './nudges.ts';
import { channelUpgrade } from './upgrade.ts';
import { views as openViews } from './views.ts';

const FLUSH_MS = 30_000;

export async function openLive(options: {
  readonly config: Config;
  readonly records: Records;
  readonly authority: Pick<Authorities, 'trusted'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly callers: Callers;
  /** Ends the work in the background. */
  readonly signal: AbortSignal;
  readonly stopping: AbortController;
}) {
  const { config, records, authority, clock, log, callers, signal, stopping } = options;
  const changes = await followChanges({ records, clock, log, signal });
  const views = openViews(records);
  const liveness = openLiveness(records.store, config.name);
  const channels: Channels = openChannels({
    heartbeat: (instance, heartbeat) => live.heartbeat(instance, heartbeat),
    repeated: (...heartbeats) => live.repeated(...heartbeats),
    log,
  });
  const installs = installReports(records);
  const live = openLiveNodes({
    records,
    installs,
    views,
    changes,
    liveness,
    connections: channels,
    heartbeatSeconds: config.heartbeatSeconds,
    trusted: () => authority.trusted.map(({ fingerprint }) => fingerprint),
  });
  nudgeAtChanges({ changes, views, channels, clock, log });
  const flush = () => liveness.flush(clock.now());
  return {
    deps: { live, installs },
    flush,
    seen: liveness.all,
    upgrade: channelUpgrade({ callers, channels, live, log, stopping: stopping.signal }),
    close: channels.closeAll,
    work: [
      sweepEvery({ everyMs: FLUSH_MS, clock, log }, signal, async () => {
        channels.ping();
        await flush();
      }),
    ],
  };
}
