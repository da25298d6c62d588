// kill -9 at each step of a restore, and in the middle of a backup. Before the step that counts, the
// state is the one before; after it, the next start of anything finishes the restore.

import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Agent } from 'undici';
import { restoreBackup } from '../../coordinator/backup/restore.ts';
import { settleRestore } from '../../coordinator/backup/settle.ts';
import { silentLog } from '../../coordinator/log.ts';
import { startCoordinator } from '../../coordinator/main.ts';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import { routeClient } from '../../shared/client/route-client.ts';
import { systemClock } from '../../shared/clock.ts';
import { routes } from '../../shared/routes/table.ts';
import { eventually } from '../agent/agent-fixture.ts';
import { startFixture } from '../coordinator/coordinator-fixture.ts';
import { once as bytesOf, takeBackup } from './backup-fixture.ts';

const CHILD = join(import.meta.dirname, 'backup-kill-child.ts');
const BILLET = join(import.meta.dirname, '../../cli/start.mjs');
const FILLER_BYTES = 64 * 1024 * 1024;
const run = promisify(execFile);

let dir: string;
let backup: Buffer;
let file: string;
let oldState: string;
let stepsInto: readonly string[] = [];
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-backup-kill-'));
  const fixture = await startFixture({ bootListen: null });
  await fixture.instance('kept-1');
  backup = await takeBackup(fixture);
  await fixture.close();
  file = join(dir, 'whole.backup');
  await writeFile(file, backup);
  oldState = join(dir, 'old');
  const other = await startCoordinator(
    { stateDir: oldState, listen: '127.0.0.1:0', bootListen: null },
    { log: silentLog },
  );
  await other.stop();
});
after(() => rm(dir, { recursive: true }));

interface Summary {
  readonly history: string;
  readonly key: string;
  readonly kept: boolean;
}

/** What is in a state directory, and that it opens. */
async function summaryOf(stateDir: string): Promise<Summary> {
  const store = sqliteStore({ path: join(stateDir, 'store.sqlite') });
  const kept = (await store.get('nodes/kept-1')).entry !== null;
  await store.close();
  return {
    history: store.historyId,
    key: await readFile(join(stateDir, 'ca/ca.key'), 'utf8'),
    kept,
  };
}

async function restoreAndDie(stateDir: string, at: number, force: boolean): Promise<string[]> {
  const args = [CHILD, stateDir, file, String(at), ...(force ? ['force'] : [])];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const text = Buffer.concat(await Array.fromAsync(child.stdout)).toString('utf8');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  if (at > 0) assert.equal(child.signalCode, 'SIGKILL');
  return text.trim().split('\n');
}

async function stepsOf(force: boolean): Promise<string[]> {
  const stateDir = join(dir, `steps-${force}`);
  if (force) await cp(oldState, stateDir, { recursive: true });
  return await restoreAndDie(stateDir, 0, force);
}

const isAfter = (steps: readonly string[], at: number) => at - 1 > steps.indexOf('complete');

test('killed at each step over a state: the old one whole, or the new one whole', async (t) => {
  const before = await summaryOf(oldState);
  const steps = await stepsOf(true);
  t.diagnostic(steps.join(', '));
  for (let at = 1; at <= steps.length; at += 1) {
    const stateDir = join(dir, `force-${at}`);
    await cp(oldState, stateDir, { recursive: true });
    await restoreAndDie(stateDir, at, true);
    const counts = isAfter(steps, at);
    const settled = await settleRestore(stateDir);
    // The first step comes before there is anything to settle.
    assert.equal(
      settled,
      counts ? 'finished' : at === 1 ? 'nothing' : 'discarded',
      String(steps[at - 1]),
    );
    const found = await summaryOf(stateDir);
    assert.equal(found.kept, counts, String(steps[at - 1]));
    if (!counts) assert.deepEqual(found, before);
    else {
      assert.notEqual(found.history, before.history);
      const [replaced = ''] = (await readdir(stateDir)).filter((name) => /^replaced-/.test(name));
      assert.deepEqual(await summaryOf(join(stateDir, replaced)), before);
    }
    assert.ok(!existsSync(join(stateDir, 'restoring')));
    await rm(stateDir, { recursive: true });
  }
});

test('killed at each step into nothing: no coordinator starts on half of it, and again works', async () => {
  const steps = await stepsOf(false);
  stepsInto = steps;
  for (let at = 1; at <= steps.length; at += 1) {
    const stateDir = join(dir, `empty-${at}`);
    await restoreAndDie(stateDir, at, false);
    const counts = isAfter(steps, at);
    const config = { stateDir, listen: '127.0.0.1:0', bootListen: null };
    if (!counts && at > 1) {
      await assert.rejects(startCoordinator(config, { log: silentLog }), {
        code: 'RESTORE_UNFINISHED',
        hint: /run it again/,
      });
      assert.ok(!existsSync(join(stateDir, 'ca')), 'no new CA');
    }
    const again = { stateDir, passphrase: null, force: false, clock: systemClock };
    const restoring = restoreBackup({ ...again, bytes: bytesOf(backup) });
    if (counts) await assert.rejects(restoring, { code: 'STATE_PRESENT', hint: /start/ });
    else await restoring;
    assert.equal((await summaryOf(stateDir)).kept, true, String(steps[at - 1]));
    await rm(stateDir, { recursive: true });
  }
});

test('mutation: without the mark that counts, what was half moved is no state', async () => {
  const stateDir = join(dir, 'mutated');
  await restoreAndDie(stateDir, stepsInto.indexOf('in store.sqlite') + 1, false);
  await rm(join(stateDir, 'restoring/complete'));
  await assert.rejects(settleRestore(stateDir), { code: 'RESTORE_UNFINISHED' });
  assert.ok(existsSync(join(stateDir, 'ca')), 'half of it is there');
});

async function startProcess(stateDir: string): Promise<ChildProcess> {
  await rm(join(stateDir, 'local.secret'), { force: true });
  const child = spawn(
    process.execPath,
    [
      BILLET,
      'coordinator',
      '--state-dir',
      stateDir,
      '--listen',
      '127.0.0.1:0',
      '--boot-listen',
      'none',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr?.on('data', (chunk) => {
    log += chunk;
  });
  await eventually(
    () => log,
    (text) => text.includes('serving'),
  );
  return child;
}

async function openStream(stateDir: string) {
  const context = JSON.parse(await readFile(join(stateDir, 'admin.json'), 'utf8'));
  const dispatcher = new Agent({ connect: { ca: context.ca } });
  const headers = { authorization: `Bearer ${context.credential}` };
  const client = routeClient({ dispatcher, baseUrl: context.url, headers });
  const local = await readFile(join(stateDir, 'local.secret'), 'utf8');
  const response = await client.open(routes.takeBackup, { body: { local } });
  return { response, close: () => dispatcher.destroy() };
}

test('a coordinator or a command that is killed in the middle of a backup leaves nothing that looks whole', async () => {
  const stateDir = join(dir, 'big');
  await mkdir(stateDir);
  await cp(oldState, stateDir, { recursive: true });
  const store = sqliteStore({ path: join(stateDir, 'store.sqlite') });
  const value = JSON.stringify('x'.repeat(500_000));
  for (let n = 0; n * value.length < FILLER_BYTES; n += 1)
    await store.commit([], [{ kind: 'put', key: `filler/${n}`, value }]);
  await store.close();

  // The coordinator dies.
  const first = await startProcess(stateDir);
  const { response, close } = await openStream(stateDir);
  const chunks: Uint8Array[] = [];
  await assert.rejects(async () => {
    for await (const chunk of response.body) {
      if (chunks.length === 0) first.kill('SIGKILL');
      chunks.push(chunk);
    }
  });
  await close();
  const half = Buffer.concat(chunks);
  assert.ok(half.length < FILLER_BYTES);
  const into = { stateDir: join(dir, 'half'), passphrase: null, force: false, clock: systemClock };
  await assert.rejects(restoreBackup({ ...into, bytes: bytesOf(half) }), {
    code: 'BACKUP_INVALID',
  });
  const scratch = async () => (await readdir(stateDir)).filter((name) => /^backup-/.test(name));
  assert.equal((await scratch()).length, 1, 'its copy is left');

  // The command dies.
  const second = await startProcess(stateDir);
  assert.deepEqual(await scratch(), [], 'and removed at the next start');
  const target = join(dir, 'by-command.backup');
  const args = [BILLET, 'coordinator', 'backup', target, '--context', join(stateDir, 'admin.json')];
  const command = spawn(process.execPath, args, { stdio: 'ignore' });
  await eventually(() => existsSync(`${target}.partial`), Boolean);
  command.kill('SIGKILL');
  await once(command, 'exit');
  assert.ok(!existsSync(target));
  await eventually(scratch, (names) => names.length === 0);

  // And again, whole.
  const { stdout } = await run(process.execPath, [...args, '--json']);
  assert.equal(JSON.parse(stdout).encrypted, false);
  const restored = await restoreBackup({ ...into, bytes: bytesOf(await readFile(target)) });
  assert.equal(restored.header.history, (await summaryOf(oldState)).history);
  second.kill('SIGTERM');
  await once(second, 'exit');
});
