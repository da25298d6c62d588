import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InstanceId } from '#shared/schema/ids.ts';
import { silentLog } from '../log.ts';
import { only } from '../provisioning/testing.ts';
import { eventsOf, moved, withLife } from '../provisioning/testing-life.ts';
import { comebacks } from './comebacks.ts';

const MINUTE = 60_000;

test('a machine that comes back as what has ended is told of once in a while, and kept', async () => {
  await withLife({}, async (one) => {
    const { records, clock } = one;
    const { note } = comebacks({ records, clock, log: silentLog });
    const id = only(await one.ask([await one.node('a')]));
    await note(id, 'its certificate was revoked');
    assert.deepEqual(await eventsOf(one, 'instance.came_back'), []);
    clock.forward(11 * MINUTE);
    await moved(one, id, { state: 'terminated' });
    for (let times = 0; times < 5; times += 1) await note(id, 'its certificate was revoked');
    const [text, ...more] = await eventsOf(one, 'instance.came_back');
    assert.match(
      text ?? '',
      /came back as i-\w+ of a, which is terminated, and was refused: its cert/,
    );
    assert.match(text ?? '', /; billet provider leftovers shows machines$/);
    assert.deepEqual(more, []);
    const { firstAt } = (await records.comebacks.get(id))?.record ?? assert.fail('not kept');
    clock.forward(11 * MINUTE);
    await note(id, 'no such token');
    assert.deepEqual((await records.comebacks.get(id))?.record, {
      ...{ firstAt, lastAt: firstAt + 11 * MINUTE, how: 'no such token' },
    });
    assert.equal((await eventsOf(one, 'instance.came_back')).length, 2);
  });
});

test('names that nobody has make nothing, and do not fill the store', async () => {
  await withLife({}, async (one) => {
    const { records, clock } = one;
    const { note } = comebacks({ records, clock, log: silentLog });
    for (let nth = 0; nth < 1_050; nth += 1)
      await note(InstanceId.parse(`i-${String(nth).padStart(16, '0')}`), 'guessed');
    assert.deepEqual(await Array.fromAsync(records.comebacks.all()), []);
    assert.deepEqual(await eventsOf(one, 'instance.came_back'), []);
  });
});

test('a store that fails keeps nobody from being refused', async () => {
  await withLife({}, async (one) => {
    const { clock } = one;
    const id = only(await one.ask([await one.node('a')]));
    await moved(one, id, { state: 'terminated' });
    const commit = () => Promise.reject(new Error('the disk'));
    const records = { ...one.records, store: { ...one.records.store, commit } };
    const said: string[] = [];
    const log = { ...silentLog, warn: (text: string) => void said.push(text) };
    await comebacks({ records, clock, log }).note(id, 'revoked');
    assert.deepEqual(said, ['a machine that came back was not told of']);
  });
});
