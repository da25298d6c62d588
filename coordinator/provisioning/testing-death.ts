// For tests: a coordinator that dies at a chosen moment, before or after a commit or a call to a
// provider, and the next one, which goes on over what is stored.

import assert from 'node:assert/strict';
import { BilletError } from '#shared/errors.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { IN_MEMORY } from '../store/sqlite-file.ts';
import type { Store, Write } from '../store/store.ts';
import {
  type Faults,
  type HandClock,
  handClock,
  type Life,
  life,
  newWorld,
  type World,
  worldProvider,
} from './testing.ts';

class Death extends Error {}

/** Dies at the n-th moment: before or after a commit, before or after what a provider does. */
function reaper(at: number) {
  let count = 0;
  let dead = false;
  const never = new Promise<never>(() => undefined);
  const ends: (() => void)[] = [];
  return {
    count: () => count,
    isDead: () => dead,
    onDeath: (end: () => void) => void ends.push(end),
    async moment(): Promise<void> {
      if (dead) return await never;
      count += 1;
      if (count !== at) return;
      dead = true;
      for (const end of ends) end();
      await never;
    },
  };
}
type Reaper = ReturnType<typeof reaper>;

/** A store whose process dies with the reaper; `forgets` is a mutation. */
function mortal(real: Store, death: Reaper, forgets: (write: Write) => boolean): Store {
  const never = new Promise<never>(() => undefined);
  return {
    ...real,
    get: (key) => (death.isDead() ? never : real.get(key)),
    list: (prefix, options) => (death.isDead() ? never : real.list(prefix, options)),
    async commit(conditions, writes) {
      await death.moment();
      const kept = writes.filter((write) => !forgets(write));
      const done = await real.commit(conditions, kept.length > 0 ? kept : writes);
      await death.moment();
      return done;
    },
  };
}

export interface Mutations extends Pick<Faults, 'forgetsKeys' | 'blind'> {
  readonly forgets?: (write: Write) => boolean;
}

/** Coordinators, one after the other, over one store and one world. */
export interface Lives {
  readonly world: World;
  readonly clock: HandClock;
  /** What outlives them of when each instance was last seen. */
  readonly seen: Map<InstanceId, number>;
  readonly current: () => Life;
  /** Done again, until it is done by somebody who lives on. */
  step<T>(work: (one: Life) => Promise<T>): Promise<T>;
  /** Passes until it is so, a minute each. */
  until(what: string, isSo: (one: Life) => Promise<boolean>): Promise<void>;
}

export interface Outcome {
  readonly moments: number;
  readonly lives: number;
  /** Machines that were made, in order of their names. */
  readonly made: readonly string[];
}

/** `story`, told with a death at the n-th moment; with none for 0. */
export async function withDeath(
  at: number,
  mutations: Mutations,
  story: (lives: Lives) => Promise<void>,
): Promise<Outcome> {
  const real = sqliteStore({ path: IN_MEMORY });
  const clock = handClock();
  const world = newWorld();
  const seen = new Map<InstanceId, number>();
  let death = reaper(at);
  const killed = death;
  let lives = 0;
  const begin = (): Life => {
    lives += 1;
    const provider = worldProvider(world, { ...mutations, at: death.moment });
    const store = mortal(real, death, mutations.forgets ?? (() => false));
    return life({ store, clock, provider, seen });
  };
  let current = begin();

  async function step<T>(work: (one: Life) => Promise<T>): Promise<T> {
    for (;;) {
      const died = Promise.withResolvers<never>();
      death.onDeath(() => died.reject(new Death()));
      died.promise.catch(() => undefined);
      try {
        return await Promise.race([work(current), died.promise]);
      } catch (error) {
        if (!(error instanceof Death)) throw error;
        death = reaper(0);
        current = begin();
      }
    }
  }

  async function until(what: string, isSo: (one: Life) => Promise<boolean>): Promise<void> {
    for (let pass = 0; pass < PASSES; pass += 1) {
      await step((one) => one.pass());
      if (await step(isSo)) return;
      clock.forward(60_000);
    }
    assert.fail(`never ${what}`);
  }

  try {
    await story({ world, clock, seen, current: () => current, step, until });
    const made = world.calls.filter((one) => one !== 'destroy').sort();
    return { moments: killed.count(), lives, made };
  } finally {
    await real.close();
  }
}

const PASSES = 32;

/** Whether some death makes the story fail under these mutations. */
export async function isNoticed(
  mutations: Mutations,
  story: (lives: Lives) => Promise<void>,
): Promise<boolean> {
  const { moments } = await withDeath(0, {}, story);
  for (let at = 0; at <= moments; at += 1)
    try {
      await withDeath(at, mutations, story);
    } catch (error) {
      if (error instanceof assert.AssertionError || error instanceof BilletError) return true;
      throw error;
    }
  return false;
}
