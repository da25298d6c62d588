// The boot image, signed, with UKI, loader and ISO, made twice from nothing: Debian's packages fetched and
// unpacked, kernel modules picked, everything packed. Needs root and Debian's archive; takes minutes,
// starts no machine.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const LIMIT_MS = 20 * 60_000;

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
  const [key, certificate] = [join(dir, 'db.key'), join(dir, 'db.crt')];
  await selfSigned(key, certificate);
  // Its own cache: what another day left there was made from other packages.
  const places = ['--out', join(dir, 'out'), '--cache', join(dir, 'cache')];
  const signing = ['--secure-boot-key', key, '--secure-boot-cert', certificate];
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [
      join(import.meta.dirname, '../../cli/start.mjs'),
      ...['image', 'build', '--policy', policy, ...places, ...signing, '--check', '--json'],
    ],
    { timeout: LIMIT_MS, signal: t.signal },
  );
  const built = JSON.parse(stdout);
  assert.equal(built.reproduced, true);
  assert.equal(built.signer.subject, 'CN=db');
  for (const name of ['kernel', 'initramfs', 'billet.efi', 'systemd-bootx64.efi', 'billet.iso'])
    assert.match(stderr, new RegExp(`^${name}: sha256:[0-9a-f]{64}, twice$`, 'm'));
});

async function selfSigned(key: string, certificate: string): Promise<void> {
  const files = ['-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=db'];
  const words = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files];
  await promisify(execFile)('openssl', words);
  await chmod(key, 0o600);
}
