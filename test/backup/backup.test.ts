// Backup and restore of a real coordinator: what comes back, what is refused, and that a refusal changes
// nothing. The command line is the real one, in this process.

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { billet } from '../../cli/testing.ts';
import { type RestoreOptions, restoreBackup } from '../../coordinator/backup/restore.ts';
import { silentLog } from '../../coordinator/log.ts';
import { startCoordinator } from '../../coordinator/main.ts';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import { systemClock } from '../../shared/clock.ts';
import { sha256 } from '../../shared/digest.ts';
import { routes } from '../../shared/routes/table.ts';
import { CredentialName } from '../../shared/schema/ids.ts';
import {
  bodyOf,
  csrOf,
  FACTS,
  type Fixture,
  newKey,
  raw,
  startFixture,
} from '../coordinator/coordinator-fixture.ts';
import { once, takeBackup } from './backup-fixture.ts';

let fixture: Fixture;
let dir: string;
before(async () => {
  fixture = await startFixture({ bootListen: null });
  dir = await mkdtemp(join(tmpdir(), 'billet-backup-'));
});
after(async () => {
  await fixture.close();
  await rm(dir, { recursive: true });
});

const PASSPHRASE = 'correct horse battery staple';
const restore = (name: string, options: Partial<RestoreOptions> & Pick<RestoreOptions, 'bytes'>) =>
  restoreBackup({
    stateDir: join(dir, name),
    passphrase: null,
    force: false,
    clock: systemClock,
    ...options,
  });

/** Each file with its digest, to see that nothing changed. */
async function contentOf(path: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile()) found[file] = sha256(await readFile(file));
  }
  return found;
}

test('the command writes a file, the command restores it, and the coordinator serves the same', async () => {
  const node = await fixture.node('whole-1');
  const instance = await fixture.instance('token-1');
  const token = await fixture.token(instance);
  const passphraseFile = join(dir, 'passphrase');
  await writeFile(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  const file = join(dir, 'command.backup');
  const context = ['--context', join(fixture.stateDir, 'admin.json')];
  const secret = ['--passphrase-file', passphraseFile];
  const taken = await billet(['coordinator', 'backup', file, ...context, ...secret]);
  assert.equal(taken.code, 0, taken.stderr);
  assert.match(taken.stdout, /encrypted/);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const again = await billet(['coordinator', 'backup', file, ...context]);
  assert.match(again.stderr, /exists[\s\S]*--force[\s\S]*CONFLICT/);

  const stateDir = join(dir, 'by-command');
  const flags = ['--state-dir', stateDir, ...secret, '--json'];
  const restored = await billet(['coordinator', 'restore', file, ...flags]);
  assert.equal(restored.code, 0, restored.stderr);
  const report = JSON.parse(restored.stdout);
  assert.deepEqual([report.instances, report.tokensRevoked, report.replaced], [2, 1, null]);
  assert.equal(report.ca, fixture.coordinator.caFingerprint);

  const first = fixture.coordinator;
  const config = { stateDir, listen: '127.0.0.1:0', bootListen: null };
  fixture.coordinator = await startCoordinator(config, { log: silentLog });
  try {
    assert.equal(fixture.coordinator.caFingerprint, first.caFingerprint);
    // The old credential and the old certificate open it; the old token does not.
    const shown = bodyOf(await fixture.admin.call(routes.getInstance, { params: { id: node.id } }));
    assert.equal(shown.facts?.cpuCount, FACTS.cpuCount);
    const { client } = fixture.client({ key: node.key.pem, certificate: node.certificate });
    const desired = await client.call(routes.getDesired, { query: {} });
    assert.match(desired?.etag ?? '', new RegExp(`^"${report.history}\\.1\\.`));
    const csr = csrOf(newKey(), instance);
    await assert.rejects(
      fixture.client().client.call(routes.enroll, { body: { instance, token, csr, facts: FACTS } }),
      { code: 'TOKEN_INVALID' },
    );
  } finally {
    await fixture.coordinator.stop();
    fixture.coordinator = first;
  }
});

test('the registry is named, and comes along when it is asked for', async () => {
  const headers = { authorization: `Bearer ${fixture.credential}` };
  const blob = Buffer.alloc(300_000, 'layer');
  const path = `/v2/app/blobs/uploads/?digest=${sha256(blob)}`;
  const pushed = await raw(fixture, path, { method: 'POST', headers, body: blob });
  assert.equal(pushed.status, 201, pushed.text);

  const named = await restore('named', { bytes: once(await takeBackup(fixture)) });
  const blobs = [{ digest: sha256(blob), sizeBytes: blob.length }];
  assert.deepEqual(named.header.registry, { included: false, blobs });
  assert.ok(!(await readdir(join(dir, 'named'))).includes('registry'));

  const whole = await takeBackup(fixture, { withRegistry: true });
  const held = await restore('held', { bytes: once(whole) });
  assert.deepEqual(held.header.registry, { included: true, blobs });
  const files = await contentOf(join(dir, 'held/registry'));
  assert.ok(Object.values(files).includes(sha256(blob)));
});

test('without the proof of who is local, an admin gets no backup, and nothing of it', async () => {
  const ask = (body: object, credential = fixture.credential) =>
    raw(fixture, '/v1/backup', {
      method: 'POST',
      headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const refused = await ask({ local: 'a guess' });
  assert.deepEqual([refused.status, refused.json.code], [403, 'FORBIDDEN']);
  assert.match(refused.json.hint, /as root on the coordinator's machine/);
  assert.ok(!refused.text.includes('PRIVATE KEY'));
  const local = await readFile(join(fixture.stateDir, 'local.secret'), 'utf8');
  assert.equal(statSync(join(fixture.stateDir, 'local.secret')).mode & 0o777, 0o600);
  const name = CredentialName.parse('watcher');
  const body = { name, role: 'operator' } as const;
  const made = await fixture.admin.call(routes.createCredential, { body });
  assert.equal((await ask({ local }, bodyOf(made).secret)).status, 403);
  assert.equal((await ask({ local, passphrase: 'short' })).json.code, 'BODY_INVALID');
  const names = await readdir(fixture.stateDir);
  assert.deepEqual(
    names.filter((name) => name.startsWith('backup-')),
    [],
  );
});

test('a state that is there is kept unless --force says otherwise, and then moved away', async () => {
  const bytes = await takeBackup(fixture);
  const stateDir = join(dir, 'present');
  await mkdir(stateDir);
  await writeFile(join(stateDir, 'admin.json'), 'of value');
  await writeFile(join(stateDir, 'machine'), 'of a provider');
  const before = await contentOf(stateDir);
  await assert.rejects(restore('present', { bytes: once(bytes) }), {
    code: 'STATE_PRESENT',
    hint: /--force/,
  });
  assert.deepEqual(await contentOf(stateDir), before);
  const { replaced } = await restore('present', { bytes: once(bytes), force: true });
  assert.equal(await readFile(join(replaced ?? '', 'admin.json'), 'utf8'), 'of value');
  assert.equal(await readFile(join(stateDir, 'machine'), 'utf8'), 'of a provider');
});

test('a coordinator that runs is not replaced under its feet', async () => {
  const bytes = await takeBackup(fixture);
  const { stateDir } = fixture;
  await assert.rejects(restore('', { bytes: once(bytes), stateDir, force: true }), {
    code: 'STORE_LOCKED',
    hint: /stop the coordinator/,
  });
  assert.equal(bodyOf(await fixture.admin.call(routes.getReady, {})).status, 'ok');
});

test('what does not belong together, or into a backup, is refused, and the state is as before', async () => {
  const good = await takeBackup(fixture);
  const text = good.toString('latin1');
  const bad: Record<string, Buffer> = {
    'a flipped byte in the store': flipped(good, good.length - 2_000),
    'a file cut short': good.subarray(0, good.length / 2),
    'another kind of file': Buffer.from('PK\u0003\u0004'.repeat(100)),
    'a path that climbs out': Buffer.from(text.replace('ca/ca.key', '../x.key'), 'latin1'),
  };
  const stateDir = join(dir, 'kept');
  await cp(join(dir, 'by-command'), stateDir, { recursive: true });
  const before = await contentOf(stateDir);
  for (const [what, bytes] of Object.entries(bad)) {
    const refused = restore('kept', { bytes: once(bytes), force: true });
    await assert.rejects(refused, { code: 'BACKUP_INVALID', hint: /nothing was changed/ }, what);
    assert.deepEqual(await contentOf(stateDir), before, what);
    await assert.rejects(restore(`new-${what}`, { bytes: once(bytes) }), {
      code: 'BACKUP_INVALID',
    });
    assert.deepEqual(await readdir(join(dir, `new-${what}`)), [], what);
  }
  await sqliteStore({ path: join(stateDir, 'store.sqlite') }).close();
});

function flipped(bytes: Buffer, at: number): Buffer {
  const other = Buffer.from(bytes);
  other[at] = (other[at] ?? 0) ^ 1;
  return other;
}
