// Machines that phone home and were registered before: let in by the coordinator itself, on the wire;
// and those that look alike, which wait for a person. Real HTTPS, real store; the machine is its requests.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { routes } from '../../shared/routes/table.ts';
import { ClaimCode } from '../../shared/schema/claim.ts';
import { Facts } from '../../shared/schema/facts.ts';
import { NodeName } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import {
  bodyOf,
  FACTS,
  type Fixture,
  heartbeatOf,
  raw,
  startFixture,
} from '../coordinator/coordinator-fixture.ts';
import { approve, newMachine } from './claim-fixture.ts';

let fixture: Fixture;
before(async () => {
  fixture = await startFixture();
});
after(() => fixture.close());

const factsOf = (more: object): Facts => Facts.parse({ ...FACTS, macs: [], ...more });
const show = async (code: string) =>
  bodyOf(await fixture.admin.call(routes.getClaim, { params: { code: ClaimCode.parse(code) } }));
const create = (name: string, spec: object) =>
  fixture.admin.call(routes.createNode, {
    body: { name: NodeName.parse(name), spec: NodeSpec.parse(spec) },
  });
async function told(code: string): Promise<{ kind: string; actor: string; text: string }[]> {
  const headers = { authorization: `Bearer ${fixture.credential}` };
  const { text } = await raw(fixture, `/v1/events?subject=claim/${code}`, { headers });
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data));
}

const WAYS: readonly (readonly [name: string, spec: object, facts: object])[] = [
  ['by-mac', { macs: ['52:54:00:aa:00:01'] }, { macs: ['52:54:00:ff:ff:01', '52:54:00:AA:00:01'] }],
  [
    'by-uuid',
    { dmiUuid: '5f0c3a52-8a3e-4d4b-9a70-0d1f0b1150a2' },
    { dmi: { uuid: '5F0C3A52-8A3E-4D4B-9A70-0D1F0B1150A2' } },
  ],
  ['by-serial', { serial: 'CZ3104A7KX' }, { dmi: { serial: ' cz3104a7kx ' } }],
  ['by-tag', { assetTag: 'Rack 7/3' }, { dmi: { assetTag: 'rack  7/3', serial: 'None' } }],
];

for (const [name, spec, shown] of WAYS)
  test(`a machine that is registered comes in ${name.replace('-', ' ')}, and no person is asked`, async () => {
    await create(name, spec);
    const machine = newMachine(fixture);
    const open = await machine.open({ facts: factsOf(shown) });
    assert.deepEqual([open.state, open.waits], ['approved', null]);
    assert.ok(open.instance);
    const certificate = await machine.enroll(open.instance);
    const { client } = fixture.client({ key: machine.key.pem, certificate });
    await client.call(routes.heartbeat, { body: heartbeatOf() });
    const claim = await show(open.code);
    assert.deepEqual([claim.decision?.by, claim.decision?.node], ['coordinator', name]);
    const [approved, more] = await told(open.code);
    assert.equal(more, undefined);
    assert.deepEqual([approved?.kind, approved?.actor], ['claim.approved', 'coordinator']);
    assert.match(approved?.text ?? '', /^claimed as by-\w+ by its (MAC|DMI|serial|asset tag) /);
  });

test('an impostor with the same identifiers waits, and sees why; an ordered boot lets one in', async () => {
  const facts = factsOf({ dmi: { serial: 'CZ3104A7KX' } });
  const other = newMachine(fixture);
  const { code, state, waits } = await other.open({ facts });
  assert.deepEqual([state, waits], ['open', 'enrolled']);
  const claim = await show(code);
  assert.match(claim.waits?.text ?? '', /it is by-serial .*, as which a machine enrolled/);
  assert.match(claim.waits?.hint ?? '', /billet instance boot by-serial/);
  const { items } = bodyOf(
    await fixture.admin.call(routes.listInstances, {
      query: { node: NodeName.parse('by-serial') },
    }),
  );
  const [instance] = items;
  assert.ok(instance);
  await fixture.admin.call(routes.orderBoot, { params: { id: instance.id } });
  assert.equal((await other.poll(code)).state, 'open', 'not looked at again with every poll');
  await eventuallyApproved(other, code);
  assert.equal((await show(code)).decision?.instance, instance.id);
});

/** Claims are compared with the nodes again every ten seconds of the machine's time. */
async function eventuallyApproved(machine: ReturnType<typeof newMachine>, code: string) {
  for (let tries = 0; tries < 200; tries += 1) {
    if ((await machine.poll(code)).state === 'approved') return;
    fixture.clock.pass(1_000);
  }
  assert.fail('never approved');
}

test('a machine that restarts before it enrolled comes in with its new key, the old one does not', async () => {
  await create('restarts', { serial: 'R-1' });
  const facts = factsOf({ dmi: { serial: 'R-1' } });
  const [first, second] = [newMachine(fixture), newMachine(fixture)];
  const one = await first.open({ facts });
  const two = await second.open({ facts });
  assert.deepEqual([one.state, two.state], ['approved', 'approved']);
  assert.equal(one.instance, two.instance);
  assert.ok(one.instance && two.instance);
  await assert.rejects(first.enroll(one.instance), { code: 'TOKEN_INVALID' });
  await second.enroll(two.instance);
  const third = await newMachine(fixture).open({ facts });
  assert.deepEqual([third.state, third.waits], ['open', 'enrolled']);
});

test('a machine that comes before its node is registered is let in soon after', async () => {
  const facts = factsOf({ dmi: { serial: 'EARLY-1' } });
  const machine = newMachine(fixture);
  const { code, waits } = await machine.open({ facts });
  assert.equal(waits, 'unknown');
  await create('early', { serial: 'EARLY-1' });
  await eventuallyApproved(machine, code);
  assert.equal((await show(code)).decision?.node, 'early');
});

test('identifiers of two nodes are for a person to sort out, who may approve all the same', async () => {
  await create('left', { serial: 'L-1' });
  const macs = ['52:54:00:aa:00:09'];
  await create('right', { macs });
  const machine = newMachine(fixture);
  const { code, waits } = await machine.open({ facts: factsOf({ macs, dmi: { serial: 'L-1' } }) });
  assert.equal(waits, 'ambiguous');
  assert.deepEqual((await show(code)).waits?.nodes, ['right', 'left']);
  assert.equal((await approve(fixture, code, 'left')).decision?.identifier, null);
  assert.equal((await show(code)).waits, null);
});

test('a registration is replayable: the same again is the same, another node is named in the refusal', async () => {
  const body = { name: 'again', spec: { serial: 'AG-1', assetTag: 'AG-2' } };
  const headers = {
    authorization: `Bearer ${fixture.credential}`,
    'content-type': 'application/json',
  };
  const post = (text: object) =>
    raw(fixture, '/v1/nodes', { method: 'POST', headers, body: JSON.stringify(text) });
  const [first, second] = [await post(body), await post(body)];
  assert.deepEqual([first.status, second.status], [201, 201]);
  assert.equal(second.text, first.text);
  const taken = await post({ name: 'thief', spec: { serial: ' ag-1' } });
  assert.deepEqual(
    [taken.status, taken.json.code, taken.json.details.node],
    [409, 'CONFLICT', 'again'],
  );
  assert.match(taken.json.detail, /the machine with the serial ag-1 is node again/);
  const vendor = await post({ name: 'thief', spec: { serial: 'Default string' } });
  assert.deepEqual([vendor.status, vendor.json.code], [422, 'IDENTIFIER_UNUSABLE']);
  assert.equal((await raw(fixture, '/v1/nodes/thief', { headers })).status, 404);
});

test('a coordinator, and a node, may want a person for each machine', async () => {
  await create('careful', { serial: 'CA-1', claimBy: 'person' });
  const facts = factsOf({ dmi: { serial: 'CA-1' } });
  assert.equal((await newMachine(fixture).open({ facts })).waits, 'person');
  const strict = await startFixture({ claims: { autoApprove: false } });
  try {
    const body = { name: NodeName.parse('any'), spec: NodeSpec.parse({ serial: 'ANY-1' }) };
    await strict.admin.call(routes.createNode, { body });
    const machine = newMachine(strict);
    const { code, waits } = await machine.open({ facts: factsOf({ dmi: { serial: 'ANY-1' } }) });
    assert.equal(waits, 'person');
    const claim = bodyOf(
      await strict.admin.call(routes.getClaim, { params: { code: ClaimCode.parse(code) } }),
    );
    assert.match(claim.waits?.text ?? '', /this coordinator wants a person/);
    assert.equal((await approve(strict, code, 'any')).state, 'approved');
  } finally {
    await strict.close();
  }
});
