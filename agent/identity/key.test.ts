import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createCsr } from '#shared/csr.ts';
import { keyPath, loadKey, loadOrCreateKey, type NodeKey } from './key.ts';

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-key-'));
});
after(() => rm(dir, { recursive: true }));

function openssl(csr: string): string {
  const argv = ['req', '-verify', '-noout', '-subject', '-text'];
  const { status, stdout, stderr } = spawnSync('openssl', argv, { input: csr, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.match(stderr + stdout, /verify OK/);
  return stdout;
}

function p256(): NodeKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { privateKey, publicKey: createPublicKey(privateKey), pem };
}

test('a key is made once, in a file that nobody else reads', async () => {
  assert.equal(await loadKey(dir), null);
  const made = await loadOrCreateKey(dir);
  assert.equal((await stat(keyPath(dir))).mode & 0o777, 0o600);
  assert.equal((await loadOrCreateKey(dir)).pem, made.pem);
  assert.equal(createPrivateKey(made.pem).asymmetricKeyType, 'ed25519');
});

test('a file that holds no such key is an error, and stays', async () => {
  const other = await mkdtemp(join(dir, 'other-'));
  for (const content of [
    'garbage',
    generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({
      type: 'pkcs8',
      format: 'pem',
    }),
  ]) {
    await writeFile(keyPath(other), content);
    await assert.rejects(loadOrCreateKey(other), { code: 'CONFIG_INVALID', hint: /token create/ });
  }
});

test('openssl verifies a request by either kind of key, and reads its subject', async () => {
  for (const key of [await loadOrCreateKey(dir), p256()]) {
    const text = openssl(createCsr(key, 'i-0123456789abcdef'));
    assert.match(text, /subject=CN ?= ?i-0123456789abcdef/);
  }
});

test('long names get long lengths', async () => {
  const name = 'x'.repeat(200);
  assert.match(openssl(createCsr(await loadOrCreateKey(dir), name)), new RegExp(name));
});
