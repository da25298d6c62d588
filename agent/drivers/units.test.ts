import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { Exec } from './exec.ts';
import { parseStates, systemdUnits } from './units.ts';

const never = new AbortController().signal;
let dir: string;
let calls: string[];
let answers: Record<string, Awaited<ReturnType<Exec>>>;
const exec: Exec = async (argv) => {
  calls.push(argv.join(' '));
  const verb = argv.find((word) => word in answers);
  return (verb && answers[verb]) || { code: 0, stdout: '', stderr: '' };
};

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-units-'));
  calls = [];
  answers = {};
});
afterEach(() => rm(dir, { recursive: true }));

test('systemd reads units again only when one of them changed', async () => {
  const units = systemdUnits({ exec, dir });
  const file = { name: 'billet-web-main.service', text: '[Service]\n' };
  await units.install([file], never);
  await units.install([file], never);
  assert.deepEqual(calls, []);
  await units.install([{ ...file, text: '[Service]\nType=exec\n' }], never);
  assert.deepEqual(calls, ['systemctl --no-ask-password daemon-reload']);
  assert.deepEqual(await units.installed('billet-web-'), [file.name]);
  await units.remove([file.name, 'never-there.service'], never);
  assert.deepEqual(await readdir(dir), []);
});

test('what an agent left that died while it wrote a unit is swept; drafts of others stay', async () => {
  const others = '.other.service.0123456789ab';
  for (const name of ['.billet-web-main.service.0123456789ab', others])
    await writeFile(join(dir, name), '[Ser');
  await systemdUnits({ exec, dir }).remove([], never);
  assert.deepEqual(await readdir(dir), [others]);
});

test('a unit is readable by all although the agent lets nobody read its own files', async () => {
  const before = process.umask(0o077);
  try {
    const name = 'billet-web-main.service';
    await systemdUnits({ exec, dir }).install([{ name, text: '[Service]\n' }], never);
    assert.equal((await stat(join(dir, name))).mode & 0o777, 0o644);
  } finally {
    process.umask(before);
  }
});

test('several units are one call; a failure names them, with the command that shows why', async () => {
  const units = systemdUnits({ exec, dir });
  answers = { start: { code: 1, stdout: '', stderr: 'Job for a.service failed.\n' } };
  await assert.rejects(units.start(['a.service', 'b.service'], never), {
    code: 'UNIT_FAILED',
    message: /a\.service b\.service: Job for a\.service failed\.$/,
    hint: 'journalctl -u a.service -u b.service -n 50',
  });
  assert.equal(calls.length, 2);
  await units.start([], never);
  assert.equal(calls.length, 2);
});

test('stopping what was never loaded is fine, another failure is not', async () => {
  const units = systemdUnits({ exec, dir });
  answers = { stop: { code: 5, stdout: '', stderr: 'Unit x.service not loaded.' } };
  await units.stop(['x.service'], never);
  answers = { stop: { code: 1, stdout: '', stderr: 'Access denied' } };
  await assert.rejects(units.stop(['x.service'], never), { code: 'UNIT_FAILED' });
});

test('states are read block by block, in the order of the names', () => {
  const text = `Id=a.service\nLoadState=loaded\nActiveState=active

Id=b.service\nLoadState=not-found\nActiveState=inactive

Id=c.service\nLoadState=loaded\nActiveState=failed

Id=d.service\nLoadState=loaded\nActiveState=activating\n`;
  const names = ['a', 'b', 'c', 'd', 'e'];
  assert.deepEqual(
    [...parseStates(names, text).values()],
    ['active', 'missing', 'failed', 'activating', 'missing'],
  );
});
