// Calls that ask for machines: too many, of what is not there, twice, and again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeName } from '#shared/schema/ids.ts';
import { only } from './testing.ts';
import { coded, withLife } from './testing-life.ts';
import { change, create } from './warm/testing.ts';

test('nothing is made when one of many nodes cannot be: each reason has its code', () =>
  withLife({ machinesMax: 2 }, async (one) => {
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => one.node(name)));
    const bare = await one.node('bare', { bootImage: null });
    assert.ok(a && b && c);
    const many = Array.from({ length: 51 }, (_, at) => `n-${at}` as NodeName);
    const refusals: [readonly NodeName[], string][] = [
      [many, 'BULK_LIMIT'],
      [[a, a], 'BODY_INVALID'],
      [[a, 'nobody' as NodeName], 'NOT_FOUND'],
      [[a, bare], 'NETBOOT_IMAGE_MISSING'],
      [[a, b, c], 'PROVIDER_QUOTA'],
    ];
    for (const [nodes, code] of refusals) {
      await assert.rejects(one.ask(nodes), coded(code));
      assert.equal((await Array.fromAsync(one.records.instances.all())).length, 0, code);
    }
    await one.ask([a]);
    await assert.rejects(one.ask([a]), coded('CONFLICT'));
    await assert.rejects(one.ask([b, a]), coded('CONFLICT'));
    assert.equal((await Array.fromAsync(one.records.instances.all())).length, 1);
    await one.pass();
    assert.deepEqual(one.world.calls, ['make a']);
  }));

test('two who provision one node at once get one instance; the same request gets it again', () =>
  withLife({}, async (one) => {
    const name = await one.node('a');
    const results = await Promise.allSettled([one.ask([name]), one.ask([name])]);
    const made = results.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
    assert.equal(made.filter(({ instance }) => instance !== null).length, 1);
    for (const { fault } of made.filter(({ instance }) => instance === null))
      assert.equal(fault?.code, 'CONFLICT');
    const other = await one.node('b');
    const first = only(await one.ask([other], 'key'));
    assert.equal(only(await one.ask([other], 'key')), first);
    await assert.rejects(one.ask([other], 'another key'), coded('CONFLICT'));
  }));

test('a region takes no more than its own number, across calls, and until a machine is proven gone', () =>
  withLife({ machinesMax: 9 }, async (one) => {
    await create(one, 'region', 'hall', { provider: 'local-qemu', machinesMax: 2 });
    const [a, b, c] = await Promise.all(
      ['a', 'b', 'c'].map((name) => one.node(name, { region: 'hall' })),
    );
    const elsewhere = await one.node('elsewhere');
    assert.ok(a && b && c);
    const full = { code: 'PROVIDER_QUOTA', message: /region hall has 0 of 2 .* 3 more/ };
    await assert.rejects(one.ask([a, b, c, elsewhere]), full);
    assert.equal((await Array.fromAsync(one.records.instances.all())).length, 0);
    await one.ask([a]);
    await one.ask([b, elsewhere]);
    await assert.rejects(one.ask([c]), { ...full, message: /region hall has 2 of 2/ });
    await change(one, 'region', 'hall', { provider: 'local-qemu', machinesMax: 3 });
    await one.ask([c]);
  }));
