// For tests of provisioning: one coordinator's loops over a store in memory, and looks at what is stored.

import assert from 'node:assert/strict';
import { BilletError } from '#shared/errors.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { enter, type InstanceRecord } from '../nodes/records.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { IN_MEMORY } from '../store/sqlite-file.ts';
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

export interface Tried extends Life {
  readonly world: World;
  readonly clock: HandClock;
}

export async function withLife(faults: Faults, work: (one: Tried) => Promise<void>): Promise<void> {
  const store = sqliteStore({ path: IN_MEMORY });
  const [world, clock] = [newWorld(), handClock()];
  try {
    await work({ ...life({ store, clock, provider: worldProvider(world, faults) }), world, clock });
  } finally {
    await store.close();
  }
}

export async function recordOf({ records }: Life, id: InstanceId): Promise<InstanceRecord> {
  return (await records.instances.get(id))?.record ?? assert.fail(`no ${id}`);
}

export async function moved(
  one: Life,
  id: InstanceId,
  fields: Partial<InstanceRecord>,
): Promise<void> {
  await one.records.instances.update(id, (record) =>
    record === null
      ? null
      : { ...enter(record, fields.state ?? record.state, one.records.clock.now()), ...fields },
  );
}

export async function eventsOf({ records }: Life, kind: string): Promise<readonly string[]> {
  const all = await Array.fromAsync(records.events.all());
  return all.filter(({ record }) => record.kind === kind).map(({ record }) => record.text);
}

export const coded = (code: string) => (error: unknown) => {
  assert.ok(error instanceof BilletError, String(error));
  assert.equal(error.code, code);
  assert.ok(error.hint.length > 5, 'a hint');
  return true;
};
