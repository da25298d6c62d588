// Which connected nodes to wake at a change: those whose desired state is another one now, and those
// that have a task to take. Sends nothing itself.

import type { Clock } from '#shared/clock.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { Log } from '../log.ts';
import type { Changes } from './changes.ts';
import type { Channels } from './channel.ts';
import { type Views, waitingTasks } from './views.ts';

/** Starts after `live` listens, so that the views are fresh when they are read here. */
export function nudgeAtChanges(options: {
  readonly changes: Changes;
  readonly views: Views;
  readonly channels: Channels;
  readonly clock: Clock;
  readonly log: Log;
}): void {
  const { changes, views, channels, clock, log } = options;
  /** ETag of the desired state that each connected node was last told of. */
  const told = new Map<InstanceId, string>();

  async function wake(instance: InstanceId, what: 'desired' | 'tasks'): Promise<void> {
    const view = await views.get(instance);
    if (!view) return;
    if (what === 'tasks') {
      if (waitingTasks(view, clock.now()) > 0) channels.nudge(instance, 'tasks');
    } else if (told.get(instance) !== view.desired) {
      told.set(instance, view.desired);
      channels.nudge(instance, 'desired');
    }
  }

  changes.listen((instance, what) => {
    if (instance === null) channels.nudgeAll(what);
    else if (channels.has(instance))
      wake(instance, what).catch((error) => log.warn('no nudge', { why: String(error) }));
    else told.delete(instance);
  });
}
