// This version over the store of 0.1.0, with that version's agent; and a store that a newer version has
// written. The fixtures are made by upgrade-record.ts, in the tree of the version that they are of.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { routeMatcher } from '../../coordinator/http/match.ts';
import { silentLog } from '../../coordinator/log.ts';
import { startCoordinator } from '../../coordinator/main.ts';
import { records as openRecords } from '../../coordinator/records.ts';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import { formatsOf, openStamp, PRIVATE_FORMATS } from '../../coordinator/upgrade/stamp.ts';
import { systemClock } from '../../shared/clock.ts';
import { sha256 } from '../../shared/digest.ts';
import { routes } from '../../shared/routes/table.ts';
import { CoordinatorMessage } from '../../shared/schema/heartbeat.ts';
import { NodeName } from '../../shared/schema/ids.ts';
import { bodyOf, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';
import { type OldState, oldState, recorded, replay } from './upgrade-fixture.ts';

const VERSIONS = ['0.1.0'];
/** Of what 0.1.0 stores, as its tree has it. */
const KINDS =
  'ca certificates claim-index claims credentials crl desired events heartbeats instances machines nodes queues revocations seen task-keys tasks tokens';

for (const version of VERSIONS) {
  let old: OldState;
  before(async () => {
    old = await oldState(version);
  });
  after(() => rm(old.stateDir, { recursive: true }));

  test(`each record that ${version} wrote is read by this version, and none is missing`, async () => {
    const store = sqliteStore({ path: old.file });
    const records = openRecords(store, systemClock);
    assert.equal(store.historyId, old.history);
    const { entries } = await store.list('');
    const kinds = new Set(entries.map(({ key }) => key.split('/')[0]));
    assert.deepEqual([...kinds].sort().join(' '), KINDS);
    let count = 0;
    for (const kind of Object.values(records))
      if ('prefix' in kind && 'all' in kind)
        for await (const { id } of kind.all()) {
          assert.notEqual(id, '');
          count += 1;
        }
    assert.ok(count > 40, `${count} records`);
    await store.close();
  });

  test(`a coordinator over the store of ${version} serves it, and its agents as they speak`, async () => {
    const fixture: Fixture = await startFixture({ stateDir: old.stateDir, bootListen: null });
    try {
      const { admin } = fixture;
      const status = bodyOf(await admin.call(routes.getStatus, {}));
      assert.deepEqual([status.history, status.nodes], [old.history, 3]);
      const { items } = bodyOf(await admin.call(routes.listInstances, { query: {} }));
      const running = items.find(({ node }) => node === 'agent-1');
      assert.deepEqual([running?.state, running?.confirmed], ['running', 2]);
      const answered = await replay(fixture, recorded(version), NodeName.parse('agent-2'));
      assert.ok(answered >= 15, `${answered} answers`);
      // Written by the old version, changed by the new one.
      assert.ok(running);
      const ended = bodyOf(
        await admin.call(routes.terminateInstance, {
          params: { id: running.id },
          body: { force: true },
        }),
      );
      assert.match(ended.state, /^terminat/);
      const events = await admin.open(routes.watchEvents, { query: { subject: 'coordinator' } });
      const text = Buffer.concat(await Array.fromAsync(events.body)).toString('utf8');
      assert.match(text, new RegExp(`"kind":"coordinator.upgraded".*before it was ${version}`));
    } finally {
      await fixture.close();
    }
  });

  test(`an agent of this version reads what a coordinator of ${version} answers`, () => {
    let read = 0;
    for (const one of recorded(version).said) {
      if ('down' in one) CoordinatorMessage.parse(one.down);
      if (!('method' in one) || one.status >= 300) continue;
      const [path = ''] = one.path.split('?');
      const match = routeMatcher(routes)(one.method, path);
      assert.ok(match && 'route' in match, path);
      match.route.reply.parse(one.reply);
      read += 1;
    }
    assert.ok(read >= 10, `${read} replies`);
  });

  test(`${version} leaves a store of this version alone`, () => {
    // It knows schema 1 and refuses any newer one with STORE_NEWER (its coordinator/store/sqlite-file.ts).
    const db = new DatabaseSync(old.file, { readOnly: true });
    const schema = Object.values(db.prepare('PRAGMA user_version').get() ?? {})[0];
    db.close();
    assert.ok(Number(schema) > 1, 'this version has opened it');
  });
}

async function newerState(change: (formats: Record<string, number>) => void): Promise<OldState> {
  const state = await oldState('0.1.0');
  const store = sqliteStore({ path: state.file });
  const records = openRecords(store, systemClock);
  const formats = { ...formatsOf(records) };
  change(formats);
  await openStamp(records, systemClock, formats);
  await store.close();
  return state;
}

test('a store whose records a newer Billet has written is refused, and not a byte of it changes', async () => {
  for (const [change, said] of [
    [(formats: Record<string, number>) => Object.assign(formats, { nodes: 99 }), /nodes 99/],
    [(formats: Record<string, number>) => Object.assign(formats, { comets: 1 }), /comets 1/],
  ] as const) {
    const { stateDir, file } = await newerState((formats) => void change(formats));
    const before = sha256(await readFile(file));
    const start = () =>
      startCoordinator({ stateDir, listen: '127.0.0.1:0', bootListen: null }, { log: silentLog });
    await assert.rejects(start, { code: 'STORE_NEWER', message: said, hint: /restore a backup/ });
    await assert.rejects(start, { code: 'STORE_NEWER' });
    assert.equal(sha256(await readFile(file)), before);
    assert.deepEqual(globSync('{ca,registry,*-wal,local.secret}', { cwd: stateDir }), []);
    await rm(stateDir, { recursive: true });
  }
});

test('a store file of a newer schema is refused as well, and not a byte of it changes', async () => {
  const { stateDir, file } = await oldState('0.1.0');
  const db = new DatabaseSync(file);
  db.exec('PRAGMA user_version = 99');
  db.close();
  const before = sha256(await readFile(file));
  await assert.rejects(
    startCoordinator({ stateDir, listen: '127.0.0.1:0', bootListen: null }, { log: silentLog }),
    { code: 'STORE_NEWER', hint: /newer/ },
  );
  assert.equal(sha256(await readFile(file)), before);
  await rm(stateDir, { recursive: true });
});

test('mutation: without its stamp, a store of a newer Billet is opened and written', async () => {
  const { stateDir, file } = await newerState((formats) => Object.assign(formats, { comets: 1 }));
  const store = sqliteStore({ path: file });
  await store.commit([], [{ kind: 'delete', key: 'stamp/records' }]);
  await store.close();
  const before = sha256(await readFile(file));
  const config = { stateDir, listen: '127.0.0.1:0', bootListen: null };
  await (await startCoordinator(config, { log: silentLog })).stop();
  assert.notEqual(sha256(await readFile(file)), before);
  await rm(stateDir, { recursive: true });
});

test('a stamp is written once, and again only when something is another version', async () => {
  const store = sqliteStore({ path: ':memory:' });
  const records = openRecords(store, systemClock);
  await openStamp(records, systemClock);
  const { revision } = await store.get('stamp/records');
  await openStamp(records, systemClock);
  assert.equal((await store.get('stamp/records')).revision, revision);
  await store.close();
});

test('kinds of records that stand in no table of records are listed with their versions', () => {
  const store = sqliteStore({ path: ':memory:' });
  const known = formatsOf(openRecords(store, systemClock));
  const found = new Set<string>();
  for (const file of globSync('coordinator/**/*.ts').filter((name) => !/test|contract/.test(name)))
    for (const [, prefix = '', rest = ''] of readFileSync(file, 'utf8').matchAll(
      /prefix: '([a-z-]+)'(?=([^;]{0,160}))/g,
    )) {
      if (prefix === 'stamp') continue;
      found.add(prefix);
      const version = /version: (\d+)/.exec(rest)?.[1];
      if (version !== undefined)
        assert.equal(known[prefix], Number(version), `${file}: ${prefix}; see PRIVATE_FORMATS`);
    }
  for (const prefix of Object.keys(PRIVATE_FORMATS)) assert.ok(found.has(prefix), prefix);
  assert.ok(found.size >= 19);
});
