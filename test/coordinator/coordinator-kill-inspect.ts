// Reads the whole store of a coordinator that is not running: whether its records fit together, and
// what they are when names, times and secrets made at random are left out.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { certificateRegister } from '../../coordinator/ca/register.ts';
import { generationKey } from '../../coordinator/nodes/records.ts';
import { records as openRecords, type Records } from '../../coordinator/records.ts';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import type { Store } from '../../coordinator/store/store.ts';
import { isOpen } from '../../coordinator/tasks/lease.ts';
import { systemClock } from '../../shared/clock.ts';
import { InstanceId } from '../../shared/schema/ids.ts';

export interface Inspected {
  readonly revision: number;
  /** One line a record, sorted. */
  readonly lines: readonly string[];
}

/** Throws an AssertionError where a record is without the one that was committed with it. */
export async function inspect(stateDir: string): Promise<Inspected> {
  const store = sqliteStore({ path: join(stateDir, 'store.sqlite') });
  try {
    const records = openRecords(store, systemClock);
    const { revision } = await store.get('x');
    await assertContinuous(store, revision);
    await assertWhole(store, records);
    return { revision, lines: (await Array.fromAsync(describe(store, records))).sort() };
  } finally {
    await store.close();
  }
}

/** Each revision is one commit that a watcher sees. */
async function assertContinuous(store: Store, head: number): Promise<void> {
  const stop = new AbortController();
  let seen = 0;
  if (head > 0)
    for await (const { revision } of store.watch('', 0, stop.signal)) {
      seen += 1;
      assert.equal(revision, seen, 'revisions without a gap');
      if (revision === head) stop.abort();
    }
}

async function assertWhole(store: Store, records: Records): Promise<void> {
  const register = certificateRegister(store);
  for await (const { record } of records.instances.all()) {
    const node = await records.nodes.get(record.node);
    const isEnded = record.state === 'terminated';
    assert.equal(node?.record.instance === record.id, !isEnded, `${record.id} of ${record.node}`);
    for (const generation of record.kept)
      assert.ok(await records.desired.get(generationKey(record.id, generation)), 'desired bytes');
    const serials = (await register.of(record.id)).map(({ serial }) => serial);
    if (record.certificate) assert.ok(serials.includes(record.certificate.serial), 'certificate');
    for (const id of record.openTokens) assert.ok(await records.tokens.get(id), 'open token');
  }
  for await (const { record } of records.nodes.all())
    if (record.instance !== null)
      assert.ok(await records.instances.get(record.instance), `instance of ${record.name}`);
  for await (const { record } of records.tokens.all())
    if (record.used)
      assert.ok(
        (await register.of(record.instance)).some(({ serial }) => serial === record.used?.serial),
        'the certificate of a used token',
      );
  const queued = new Set<string>();
  for await (const { id, record } of records.queues.all())
    for (const task of record.open) {
      queued.add(task);
      assert.equal((await records.tasks.get(task))?.record.instance, InstanceId.parse(id));
    }
  for await (const { id, record } of records.tasks.all())
    assert.equal(queued.has(id), isOpen(record), `task ${id} in its queue`);
}

async function* describe(store: Store, records: Records): AsyncGenerator<string> {
  const line = (kind: string, ...what: unknown[]) => `${kind} ${JSON.stringify(what)}`;
  for await (const { record } of records.events.all())
    yield line('event', record.kind, record.actor.split(':')[0], record.subject.split('/')[0]);
  for await (const { record } of records.nodes.all())
    yield line('node', record.name, record.generation, record.instance !== null, record.spec);
  for await (const { record } of records.instances.all())
    yield line(
      'instance',
      ...[record.node, record.state, record.generation, record.goods, record.kept.length],
      ...[record.boot.ordered, record.bootId, record.certificate !== null, record.facts !== null],
    );
  for await (const { record } of records.tasks.all())
    yield line('task', record.spec.kind, record.state, record.epoch, record.result?.outcome);
  for await (const { record } of records.tokens.all())
    yield line('token', record.used !== null, record.revokedAt !== null);
  for await (const { record } of records.credentials.all())
    yield line('credential', record.name, record.role);
  for await (const { record } of certificateRegister(store).revocations.all())
    yield line('revocation', record.reason);
  for await (const { record } of records.heartbeats.all())
    yield line('heartbeat', record.heartbeat.bootId, record.heartbeat.generation);
  for await (const { id, record } of records.machines.all()) yield line('machine', id, record.node);
  for (const prefix of ['desired/', 'certificates/', 'task-keys/', 'queues/'])
    for (const _ of (await store.list(prefix)).entries) yield line(prefix);
}

/** Lines of `found` that `wanted` has not, and the other way, each as often as it is too many. */
export function difference(
  wanted: readonly string[],
  found: readonly string[],
): { readonly extra: readonly string[]; readonly missing: readonly string[] } {
  const rest = [...wanted];
  const extra = found.filter((one) => {
    const at = rest.indexOf(one);
    if (at < 0) return true;
    rest.splice(at, 1);
    return false;
  });
  return { extra, missing: rest };
}
