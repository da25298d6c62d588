import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { NodeName } from '#shared/schema/ids.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { records as openRecords } from '../../records.ts';
import { ABSENT, commitAll } from '../../store/collection.ts';
import { sqliteStore } from '../../store/sqlite.ts';
import { createNode } from '../node-writes.ts';
import { ownersOf } from './observe.ts';
import { type Identifier, identifierKey } from './rules.ts';

test('a machine is the one node that what it shows points to; an entry whose node is gone is none', async (t) => {
  const store = sqliteStore({ path: ':memory:' });
  t.after(() => store.close());
  const records = openRecords(store, systemClock);
  const create = (name: string, spec: object) =>
    createNode(records, 'operator', { name: NodeName.parse(name), spec: NodeSpec.parse(spec) });
  await create('web-1', { serial: 'S-1', assetTag: 'T-1' });
  await create('web-2', { assetTag: 'T-2' });
  const gone: Identifier = { kind: 'uuid', value: '5f0c3a52-8a3e-4d4b-9a70-0d1f0b1150a2' };
  const left = { node: NodeName.parse('gone') };
  await commitAll(store, [records.machines.put(identifierKey(gone), left, ABSENT)]);

  const serial = (value: string): Identifier => ({ kind: 'serial', value });
  const tag = (value: string): Identifier => ({ kind: 'asset-tag', value });
  const owners = async (...shown: readonly Identifier[]) => {
    const { matches, node } = await ownersOf(records, shown);
    return [matches.map((each) => each.node), node?.record.name ?? null];
  };
  assert.deepEqual(await owners(gone, serial('S-9'), tag('T-9')), [[], null]);
  assert.deepEqual(await owners(gone, serial('s-1'), tag('t-1')), [['web-1', 'web-1'], 'web-1']);
  assert.deepEqual(await owners(serial('S-1'), tag('T-2')), [['web-1', 'web-2'], null]);
});
