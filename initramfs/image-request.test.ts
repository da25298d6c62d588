import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { checkRequest, type ImageRequest } from './image-request.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
let dir = '';
const at = (name: string) => join(dir, name);

const policy = (name: string, modules: readonly string[], mode = 'enforce') => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const keys = [publicKey.export({ type: 'spki', format: 'pem' })];
  writeFileSync(at(name), JSON.stringify({ format: 1, mode, rules: [{ modules, keys }] }));
};

function keyPair(name: string, ...algorithm: readonly string[]): void {
  const files = ['-keyout', at(`${name}.key`), '-out', at(`${name}.crt`)];
  const words = [
    'req',
    '-x509',
    '-newkey',
    ...algorithm,
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=db',
  ];
  execFileSync('openssl', [...words, ...files], { stdio: 'ignore' });
}

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'billet-image-request-'));
  policy('policy.json', ['*']);
  policy('web.json', ['web'], 'audit');
  keyPair('db', 'rsa:2048');
  keyPair('other', 'rsa:2048');
  keyPair('small', 'rsa:1024');
  keyPair('curve', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256');
});
after(() => rmSync(dir, { recursive: true }));

const request = (more: Partial<ImageRequest> = {}): ImageRequest => ({
  ...{ policy: at('policy.json'), architecture: 'amd64', name: 'boot-metal' },
  ...more,
});
const check = (more: Partial<ImageRequest> = {}, clock = systemClock) =>
  checkRequest(request(more), clock);
const signing = (key: string, certificate = key) => ({
  secureBootKey: at(`${key}.key`),
  secureBootCert: at(`${certificate}.crt`),
});

test('what was left out is left to the build, and what was given is taken', async () => {
  const plain = await check();
  assert.deepEqual(plain.info, { name: 'boot-metal' });
  assert.deepEqual([plain.signer, plain.warnings], [undefined, []]);
  const coordinator = 'https://192.0.2.10:8443';
  const { info, signer, commandLine } = await check({
    ...{ sequence: '7', version: '1.2.0', coordinator, ca: DIGEST },
    ...{ commandLine: ' console=ttyS0  quiet ', ...signing('db') },
  });
  assert.deepEqual(info, {
    name: 'boot-metal',
    sequence: 7,
    version: '1.2.0',
    coordinator,
    ca: DIGEST,
  });
  assert.equal(commandLine, 'console=ttyS0 quiet');
  assert.equal(signer?.subject, 'CN=db');
});

test('what cannot be baked in is refused by name', async () => {
  for (const [more, code, message] of [
    [{ architecture: 'riscv64' }, 'UNSUPPORTED', /riscv64/],
    [{ name: 'Boot' }, 'ARGUMENT_INVALID', /name/],
    [{ sequence: '-1' }, 'ARGUMENT_INVALID', /sequence/],
    [{ version: 'next' }, 'ARGUMENT_INVALID', /version/],
    [{ builtAt: 'today' }, 'ARGUMENT_INVALID', /builtAt/],
    [{ coordinator: 'https://192.0.2.10:8443' }, 'ARGUMENT_INVALID', /coordinator and ca/],
    [{ coordinator: 'http://192.0.2.10', ca: DIGEST }, 'ARGUMENT_INVALID', /coordinator/],
    [{ commandLine: 'dyndbg="file x +p"' }, 'ARGUMENT_INVALID', /quotes/],
    [{ policy: at('none.json') }, 'ARGUMENT_INVALID', /none\.json/],
    [{ policy: at('db.crt') }, 'POLICY_INVALID', /not JSON/],
    [{ secureBootKey: at('db.key') }, 'ARGUMENT_INVALID', /--secure-boot-cert/],
  ] as const)
    await assert.rejects(check(more), { code, message });
});

test('a policy that does not enforce, or leaves nobody to sign the next image, is warned of', async () => {
  const { warnings } = await check({ policy: at('web.json') });
  assert.match(warnings.join('\n'), /mode audit.*\n.*nobody for boot-metal/);
});

test('a key that others can read signs nothing', async () => {
  chmodSync(at('db.key'), 0o640);
  await assert.rejects(check(signing('db')), { code: 'SECURE_BOOT_KEY_EXPOSED', message: /0640/ });
  chmodSync(at('db.key'), 0o600);
});

test('a certificate of another key, and one past its end, are refused', async () => {
  await assert.rejects(check(signing('db', 'other')), { code: 'SECURE_BOOT_KEY_MISMATCH' });
  for (const days of [-1, 3]) {
    const clock = { ...systemClock, now: () => systemClock.now() + days * 86_400_000 };
    await assert.rejects(check(signing('db'), clock), { code: 'SECURE_BOOT_CERTIFICATE_EXPIRED' });
  }
});

test('keys that firmware does not know, and files that are none, are refused', async () => {
  for (const [more, message] of [
    [signing('curve'), /is ec/],
    [signing('small'), /rsa of 1024 bits/],
    [{ secureBootKey: at('db.key'), secureBootCert: at('db.key') }, /no certificate/],
    [signing('nobody'), /ENOENT/],
  ] as const)
    await assert.rejects(check(more), { code: 'SECURE_BOOT_KEY_INVALID', message });
});
