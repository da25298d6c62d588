import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { Derived, NodeSpec } from '#shared/schema/records.ts';
import { derive, NO_SOURCES } from '../../catalog/rules.ts';
import type { Identifier } from '../../nodes/identifiers/rules.ts';
import type { InstanceRecord, NodeRecord } from '../../nodes/records.ts';
import { judge, type Sight } from './rules.ts';

const WEB = NodeName.parse('web-1');
const DB = NodeName.parse('db-1');
const ID = InstanceId.parse('i-0000000000000001');
const MAC: Identifier = { kind: 'mac', value: '52:54:00:00:00:01' };
const SERIAL: Identifier = { kind: 'serial', value: 'CZ3104A7KX' };
const PLAN = { profile: 'single-disk', disk: { serial: 'a' } };

const node = (fields: object = {}, spec: object = {}): NodeRecord => {
  const parsed = NodeSpec.parse(spec);
  const derived = Derived.parse(derive(parsed, NO_SOURCES, null));
  return {
    ...{ name: WEB, spec: parsed, derived, generation: 1, instance: ID, lives: 1 },
    ...{ set: null, createdAt: 0 },
    ...fields,
  };
};
/** As far as the rules look. */
const instance = (fields: Partial<InstanceRecord> = {}) =>
  ({
    ...{ id: ID, state: 'bootstrapping', certificate: { serial: '1', notAfter: 1 }, install: null },
    ...{ boot: { ordered: false, token: null } },
    ...fields,
  }) as InstanceRecord;
const install = (doneAt: number | null): InstanceRecord['install'] => ({
  ...{ event: 'ie-0000000000000001', orderedAt: 0, doneAt, wipeId: null, diskSerial: null },
  waits: false,
});

const judged = (sight: Partial<Sight>, autoApprove = true) =>
  judge(
    {
      ...{ matches: [{ identifier: MAC, node: WEB }], node: node(), instance: instance() },
      ...{ isRestored: false, told: null },
      ...sight,
    },
    { autoApprove },
  );
const why = (sight: Partial<Sight>, autoApprove = true) => {
  const found = judged(sight, autoApprove);
  return found.kind === 'wait' ? found.waits.why : `approved by ${found.identifier.kind}`;
};
const ordered = { boot: { ordered: true, token: null } };

test('a machine is let in where a boot is ordered, or never took place', () => {
  assert.equal(why({ instance: instance(ordered) }), 'approved by mac');
  assert.equal(why({ instance: instance({ certificate: null }) }), 'approved by mac');
  // Its first instance is made for it, as an operator's approval makes one.
  const fresh = node({ instance: null, lives: 0 });
  assert.equal(why({ node: fresh, instance: null }), 'approved by mac');
  const both = [SERIAL, MAC].map((identifier) => ({ identifier, node: WEB }));
  assert.equal(why({ matches: both, instance: instance(ordered) }), 'approved by serial');
});

test('a machine that nobody registered waits, and so does one that several nodes are registered with', () => {
  assert.equal(why({ matches: [], node: null, instance: null }), 'unknown');
  const matches = [
    { identifier: MAC, node: WEB },
    { identifier: SERIAL, node: DB },
  ];
  const found = judged({ matches, node: null, instance: null });
  assert.ok(found.kind === 'wait');
  assert.deepEqual([found.waits.why, found.waits.nodes], ['ambiguous', [WEB, DB]]);
  assert.match(
    found.waits.text,
    /web-1 \(MAC address 52:54:00:00:00:01\), db-1 \(serial CZ3104A7KX\)/,
  );
});

test('where a machine has enrolled and no boot is ordered, another that shows the same waits', () => {
  const found = judged({});
  assert.ok(found.kind === 'wait');
  assert.equal(found.waits.why, 'enrolled');
  assert.match(
    found.waits.hint,
    /billet instance boot web-1, .*approve CODE --node web-1 --replace/,
  );
  assert.equal(why({ instance: instance({ certificate: null }), isRestored: true }), 'enrolled');
});

test('a power cut in the middle of an installation lets the machine in again, until that is done', () => {
  const disk = node({}, { install: PLAN });
  for (const state of ['bootstrapping', 'installing'] as const)
    assert.match(
      why({ node: disk, instance: instance({ state, install: install(null) }) }),
      /^app/,
    );
  const done = instance({ install: install(1) });
  assert.equal(why({ node: disk, instance: done }), 'enrolled');
  const running = instance({ state: 'running', install: install(null) });
  assert.equal(why({ node: disk, instance: running }), 'enrolled');
  // The plan was taken away: nothing is installed.
  assert.equal(why({ instance: instance({ install: install(null) }) }), 'enrolled');
});

test('a node whose instance has ended waits for a person, whatever its machine does', () => {
  assert.equal(why({ node: node({ instance: null, lives: 1 }), instance: null }), 'ended');
  for (const state of ['failed', 'terminating', 'terminated'] as const)
    assert.equal(why({ instance: instance({ state, ...ordered }) }), 'ended');
});

test('a coordinator, or a node, may want a person in each case', () => {
  const due = { instance: instance(ordered) };
  assert.equal(why(due, false), 'person');
  assert.equal(why({ ...due, node: node({}, { claimBy: 'person' }) }), 'person');
});

test('a machine that was told to be another instance waits', () => {
  const due = { instance: instance(ordered) };
  assert.equal(why({ ...due, told: ID }), 'approved by mac');
  const other = InstanceId.parse('i-0000000000000002');
  assert.equal(why({ ...due, told: other }), 'told-otherwise');
  assert.equal(
    why({ node: node({ instance: null, lives: 0 }), instance: null, told: other }),
    'told-otherwise',
  );
});
