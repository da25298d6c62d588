import assert from 'node:assert/strict';
import { lstat, mkdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '#shared/artifact/signature/testing.ts';
import { Settings } from '#shared/schema/settings.ts';
import { hostNodeSettings } from './node-settings.ts';

const never = new AbortController().signal;

test('settings reach the files of the running system, and are written only where they differ', async (t) => {
  const root = await temporaryDirectory(t);
  const at = (path: string) => join(root, path);
  await mkdir(at('/etc'));
  await mkdir(at('/proc/sys/kernel'), { recursive: true });
  await writeFile(at('/proc/sys/kernel/hostname'), 'localhost\n');
  await writeFile(at('/etc/localtime'), 'a copy, and no link');
  const settings = hostNodeSettings({ root });
  const wanted = Settings.parse({
    hostname: 'db',
    timezone: 'Europe/Berlin',
    sshKeys: ['ssh-ed25519 AAAA a person'],
  });
  await settings.apply(wanted, never);
  assert.equal(await readFile(at('/etc/hostname'), 'utf8'), 'db\n');
  assert.equal(await readFile(at('/proc/sys/kernel/hostname'), 'utf8'), 'db');
  assert.equal(await readlink(at('/etc/localtime')), '/usr/share/zoneinfo/Europe/Berlin');
  const keys = at('/root/.ssh/authorized_keys');
  assert.equal((await lstat(keys)).mode & 0o777, 0o600);
  assert.equal((await lstat(at('/root/.ssh'))).mode & 0o777, 0o700);
  // What is left out is the image's own business.
  await assert.rejects(lstat(at('/etc/resolv.conf')), { code: 'ENOENT' });

  const { ino } = await lstat(keys);
  await settings.apply(wanted, never);
  assert.equal((await lstat(keys)).ino, ino);
  await settings.apply(Settings.parse({ ...wanted, sshKeys: [] }), never);
  assert.equal(await readFile(keys, 'utf8'), '');
});
