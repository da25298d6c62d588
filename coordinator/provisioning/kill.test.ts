// The coordinator dies at each commit and around each call to a provider, of a whole life of two
// instances; the next one goes on over what is stored. At the end nothing is left on either side.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import type { NodeName } from '#shared/schema/ids.ts';
import { hashSecret, tokenIdOf } from '../ids.ts';
import { terminate } from '../nodes/instance-end.ts';
import { after } from '../nodes/lifecycle.ts';
import { enter } from '../nodes/records.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { IN_MEMORY } from '../store/sqlite-file.ts';
import type { Store, Write } from '../store/store.ts';
import { findLeftovers } from './leftovers.ts';
import { type Faults, handClock, type Life, life, newWorld, worldProvider } from './testing.ts';

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

interface Mutations extends Pick<Faults, 'forgetsKeys' | 'blind'> {
  readonly forgets?: (write: Write) => boolean;
}

/** A whole life of two nodes' instances; each step is done again when its coordinator died. */
async function scenario(at: number, mutations: Mutations = {}) {
  const real = sqliteStore({ path: IN_MEMORY });
  const clock = handClock();
  const world = newWorld();
  let death = reaper(at);
  let lives = 0;
  const begin = (): Life => {
    lives += 1;
    const provider = worldProvider(world, { ...mutations, at: death.moment });
    return life(mortal(real, death, mutations.forgets ?? (() => false)), clock, provider);
  };
  let current = begin();
  const killed = death;

  /** Until it is done by somebody who lives on. */
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
  /** Passes until it is so, a minute each. */
  async function until(what: string, isSo: (one: Life) => Promise<boolean>): Promise<void> {
    for (let pass = 0; pass < 8; pass += 1) {
      await step((one) => one.pass());
      if (await step(isSo)) return;
      clock.forward(60_000);
    }
    assert.fail(`never ${what}`);
  }
  const states = async (one: Life, names: readonly NodeName[]) => {
    const found: string[] = [];
    for await (const { record } of one.records.instances.all())
      if (names.includes(record.node)) found.push(record.state);
    return found;
  };

  try {
    const names = await step((one) => Promise.all(['a', 'b'].map((name) => one.node(name))));
    const asked = await step((one) => one.ask(names, 'request-1'));
    const instances = asked.map(({ instance }) => instance ?? assert.fail('no instance'));
    await until('made', async () => world.machines.size >= names.length);
    // Each machine calls with the token that it was given, and is seen ready.
    for (const { order } of world.machines.values()) {
      const { token = '' } = order.start.kind === 'direct' ? order.start.identity : {};
      const found = await step((one) => one.records.tokens.get(tokenIdOf(token)));
      assert.equal(found?.record.hash, hashSecret(token));
      assert.equal(found.record.revokedAt, null, 'the token that the machine has was revoked');
    }
    for (const id of instances)
      await step((one) =>
        one.records.instances.update(id, (record) =>
          record?.state === 'provisioning'
            ? enter(record, after(record.state, 'contact'), clock.now())
            : null,
        ),
      );
    await until('seen', async () => true);
    for (const id of instances)
      await step((one) => terminate(one.deps, 'admin:a', id, { force: true, abandon: false }));
    await until('ended', async (one) =>
      (await states(one, names)).every((state) => state === 'terminated'),
    );
    const leftovers = await step((one) => findLeftovers(one.deps, new AbortController().signal));
    assert.deepEqual([...world.machines.keys()], [], 'an orphan machine');
    assert.deepEqual(leftovers, []);
    assert.equal((await states(current, names)).length, names.length, 'an instance a node');
    for (const name of names)
      assert.equal((await current.records.nodes.get(name))?.record.instance, null);
    assert.equal((await Array.fromAsync(current.records.operations.all())).length, 0);
    return {
      moments: killed.count(),
      lives,
      made: world.calls.filter((one) => one !== 'destroy').sort(),
    };
  } finally {
    await real.close();
  }
}

test('a coordinator that dies anywhere leaves no machine and loses no record', async (t) => {
  const base = await scenario(0);
  assert.deepEqual(base.made, ['make a', 'make b']);
  assert.ok(base.moments > 40, `${base.moments} moments`);
  for (let at = 1; at <= base.moments; at += 1) {
    const { lives, made } = await scenario(at);
    assert.equal(lives, 2, `moment ${at}`);
    assert.deepEqual(made, base.made, `moment ${at}: each machine is made once`);
  }
  t.diagnostic(`${base.moments} deaths`);
});

/** Whether some death makes the scenario fail. */
async function isNoticed(mutations: Mutations): Promise<boolean> {
  const { moments } = await scenario(0);
  for (let at = 1; at <= moments; at += 1)
    try {
      await scenario(at, mutations);
    } catch (error) {
      if (error instanceof assert.AssertionError || error instanceof BilletError) return true;
      throw error;
    }
  return false;
}

test('with a provider that does not know its operations again, a death makes an orphan', async () => {
  await scenario(0, { forgetsKeys: true }).catch((error) => {
    assert.match(String(error), /ended|orphan/);
  });
  assert.ok(await isNoticed({ forgetsKeys: true }));
});

test('without a look before the call, a death revokes the token that the machine has', async () => {
  assert.ok(await isNoticed({ blind: true }));
});

test('without the record of the operation, nobody finds what is to be made or destroyed', async () => {
  const forgets = (write: Write) => write.key.startsWith('operations/') && write.kind === 'put';
  assert.ok(await isNoticed({ forgets }));
});
