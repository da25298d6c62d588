// The boot image, made twice from nothing: Debian's packages fetched and unpacked, kernel modules picked,
// everything packed. Needs root and Debian's archive; takes minutes, starts no machine.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const LIMIT_MS = 10 * 60_000;

test('two builds of the boot image from nothing give the same bytes', {
  timeout: LIMIT_MS,
}, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'billet-reproducible-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const policy = join(dir, 'trust-policy.json');
  const { publicKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' });
  const rules = [{ modules: ['*'], keys: [pem] }];
  await writeFile(policy, JSON.stringify({ format: 1, mode: 'enforce', rules }));
  // Its own cache: what another day left there was made from other packages.
  const places = ['--out', join(dir, 'out'), '--cache', join(dir, 'cache')];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      join(import.meta.dirname, '../../initramfs/main.ts'),
      '--policy',
      policy,
      ...places,
      '--check',
    ],
    { timeout: LIMIT_MS, signal: t.signal },
  );
  for (const name of ['kernel', 'initramfs'])
    assert.match(stdout, new RegExp(`^${name}: sha256:[0-9a-f]{64}, twice$`, 'm'));
});
