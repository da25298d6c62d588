// The coordinator dies at each commit and around each call to a provider, of a whole life of two
// instances; the next one goes on over what is stored. At the end nothing is left on either side.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeName } from '#shared/schema/ids.ts';
import { hashSecret, tokenIdOf } from '../ids.ts';
import { terminate } from '../nodes/instance-end.ts';
import { after } from '../nodes/lifecycle.ts';
import { enter } from '../nodes/records.ts';
import type { Write } from '../store/store.ts';
import { findLeftovers } from './leftovers.ts';
import type { Life } from './testing.ts';
import { isNoticed, type Lives, withDeath } from './testing-death.ts';

async function states(one: Life, names: readonly NodeName[]): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { record } of one.records.instances.all())
    if (names.includes(record.node)) found.push(record.state);
  return found;
}

/** A whole life of two nodes' instances; each step is done again when its coordinator died. */
async function story({ world, clock, current, step, until }: Lives): Promise<void> {
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
  assert.equal((await states(current(), names)).length, names.length, 'an instance a node');
  for (const name of names)
    assert.equal((await current().records.nodes.get(name))?.record.instance, null);
  assert.equal((await Array.fromAsync(current().records.operations.all())).length, 0);
}

test('a coordinator that dies anywhere leaves no machine and loses no record', async (t) => {
  const base = await withDeath(0, {}, story);
  assert.deepEqual(base.made, ['make a', 'make b']);
  assert.ok(base.moments > 40, `${base.moments} moments`);
  for (let at = 1; at <= base.moments; at += 1) {
    const { lives, made } = await withDeath(at, {}, story);
    assert.equal(lives, 2, `moment ${at}`);
    assert.deepEqual(made, base.made, `moment ${at}: each machine is made once`);
  }
  t.diagnostic(`${base.moments} deaths`);
});

test('with a provider that does not know its operations again, a death makes an orphan', async () => {
  assert.ok(await isNoticed({ forgetsKeys: true }, story));
});

test('without a look before the call, a death revokes the token that the machine has', async () => {
  assert.ok(await isNoticed({ blind: true }, story));
});

test('without the record of the operation, nobody finds what is to be made or destroyed', async () => {
  const forgets = (write: Write) => write.key.startsWith('operations/') && write.kind === 'put';
  assert.ok(await isNoticed({ forgets }, story));
});
