// Follows the store, and tells who waits for an instance that it changed, whichever coordinator
// changed it. Holds no records.

import { EventEmitter, once } from 'node:events';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { Log } from '../log.ts';
import type { Records } from '../records.ts';

export type What = 'desired' | 'tasks';

export interface Changes {
  /** Called for each change of an instance or of its tasks; null when anything may have changed. */
  listen(listener: (instance: InstanceId | null, what: What) => void): void;
  /** Resolves at the next change of the instance, or when `signal` aborts. */
  next(instance: InstanceId, signal: AbortSignal): Promise<void>;
}

const RETRY_MS = 1_000;

/** Runs until `signal` aborts; from the revision at which it is called on. */
export async function followChanges(options: {
  readonly records: Records;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<Changes> {
  const { records, clock, log, signal } = options;
  const news = new EventEmitter().setMaxListeners(0);
  const listeners: ((instance: InstanceId | null, what: What) => void)[] = [];

  function tell(instance: InstanceId | null, what: What): void {
    for (const listener of listeners) listener(instance, what);
    if (instance === null) news.emit('anything');
    else news.emit(instance);
  }

  const { revision: start } = await records.store.get('instances');

  async function follow(what: What, watch: () => AsyncIterable<InstanceId[]>): Promise<void> {
    while (!signal.aborted)
      try {
        for await (const instances of watch()) for (const one of instances) tell(one, what);
      } catch (error) {
        if (signal.aborted || isClosed(error)) return;
        log.warn('the watch of the store broke, and starts again', { what, why: String(error) });
        await clock.sleep(RETRY_MS, signal).catch(() => null);
        tell(null, what);
      }
  }

  /** From `start`, and after a break from where the store is: what was between is told as "anything". */
  function resumable<C>(
    source: { watch(after: number, signal: AbortSignal): AsyncIterable<C> },
    instancesOf: (commit: C) => InstanceId[],
  ) {
    let first = true;
    return async function* () {
      const after = first ? start : (await records.store.get('instances')).revision;
      first = false;
      for await (const commit of source.watch(after, signal)) yield instancesOf(commit);
    };
  }

  const running = [
    follow(
      'desired',
      resumable(records.instances, ({ changes }) => changes.map(({ id }) => id as InstanceId)),
    ),
    follow(
      'tasks',
      resumable(records.tasks, ({ changes }) =>
        changes.flatMap((one) => one.record?.instance ?? []),
      ),
    ),
  ];
  Promise.all(running).catch((error) => log.error('the watch ended', { why: String(error) }));

  return {
    listen: (listener) => void listeners.push(listener),
    async next(instance, until) {
      const found = new AbortController();
      const either = AbortSignal.any([until, found.signal]);
      const waits = [instance, 'anything'].map((name) => once(news, name, { signal: either }));
      // Aborted waits reject; that is how they end, and no failure.
      await Promise.race(waits).catch(() => null);
      found.abort();
      await Promise.allSettled(waits);
    },
  };
}

const isClosed = (error: unknown) => error instanceof BilletError && error.code === 'UNAVAILABLE';
