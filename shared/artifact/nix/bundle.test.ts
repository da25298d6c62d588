import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ModuleName } from '../../schema/module.ts';
import { TrustPolicy } from '../../schema/trust-policy.ts';
import { chunked, tarOf } from '../composefs/tar-testing.ts';
import { openLayout } from '../oci/layout.ts';
import { generateKeyPair, readSigningKey } from '../signature/keys.ts';
import { fetchBundle, parseBundle, pushBundle, signBundle } from './bundle.ts';
import { BUNDLE_LIMIT_BYTES, type FlakeFile } from './flake-files.ts';
import { flakeTar, readFlakeTar } from './flake-tar.ts';

const file = (path: string, text = ''): FlakeFile => ({
  kind: 'file',
  path,
  executable: false,
  content: Buffer.from(text),
});
const link = (path: string, target: string): FlakeFile => ({ kind: 'symlink', path, target });
const FLAKE = [
  file('flake.nix', '{ outputs = _: { }; }'),
  { ...file('bin/run', '#!/bin/sh\n'), executable: true } as FlakeFile,
  link('current', 'bin/run'),
  file(`${'long/'.repeat(24)}name`, 'far below'),
];
const RELEASE = { name: ModuleName.parse('web-flake'), version: '1', sequence: 3 };

async function layoutOf(context: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'billet-bundle-'));
  context.after(() => rm(dir, { recursive: true }));
  return await openLayout(join(dir, 'layout'), { create: true });
}

const policyFor = (pem: string, more: object = {}) =>
  TrustPolicy.parse({ format: 1, rules: [{ modules: ['web-*'], keys: [pem], ...more }] });

test('the same files give the same archive, in whatever order they were read, and come back', async () => {
  const tar = flakeTar(FLAKE);
  assert.deepEqual(flakeTar([...FLAKE].reverse()), tar);
  const back = await readFlakeTar(chunked(tar));
  assert.deepEqual(
    back.map((each) => JSON.stringify(each)).sort(),
    FLAKE.map((each) => JSON.stringify(each)).sort(),
  );
  assert.deepEqual(flakeTar(back), tar);
});

const HOSTILE: readonly (readonly [what: string, files: readonly FlakeFile[]])[] = [
  ['no flake', [file('default.nix')]],
  ['a path that climbs', [file('flake.nix'), file('../etc/passwd')]],
  ['an absolute path', [file('flake.nix'), file('/etc/passwd')]],
  ['a repository', [file('flake.nix'), file('.git/config')]],
  ['a link out of it', [file('flake.nix'), link('a/b', '../../etc')]],
  ['an absolute link', [file('flake.nix'), link('a', '/etc')]],
  ['a file below a link', [file('flake.nix'), link('a', 'b'), file('a/c')]],
  ['a file below a file', [file('flake.nix'), file('flake.nix/x')]],
  ['one path twice', [file('flake.nix'), file('flake.nix')]],
  ['flake.nix as a link', [link('flake.nix', 'other.nix'), file('other.nix')]],
];
for (const [what, files] of HOSTILE)
  test(`refused as a bundle: ${what}`, () => {
    assert.throws(() => flakeTar(files), { code: 'NIX_BUNDLE_INVALID', hint: /bundle push/ });
  });

test('an archive of others is held to the same rules: devices, hard links, size, an end that is missing', async () => {
  const refused = (tar: Buffer) => readFlakeTar(chunked(tar, 65_536));
  const flake = { name: './flake.nix', body: '{ }' };
  const whole = await readFlakeTar(chunked(tarOf({ name: './', type: '5' }, flake)));
  assert.deepEqual(
    whole.map(({ path }) => path),
    ['flake.nix'],
  );
  const invalid = { code: 'NIX_BUNDLE_INVALID' };
  await assert.rejects(refused(tarOf(flake, { name: 'null', type: '3' })), invalid);
  await assert.rejects(refused(tarOf(flake, { name: 'a', type: '1', link: 'flake.nix' })), invalid);
  await assert.rejects(refused(tarOf(flake, { name: 'a', type: '2', link: '../x' })), invalid);
  await assert.rejects(refused(tarOf(flake, { name: '../x', body: 'a' })), invalid);
  const large = { name: 'large', body: 'x'.repeat(BUNDLE_LIMIT_BYTES) };
  await assert.rejects(refused(tarOf(flake, large)), invalid);
  await assert.rejects(refused(tarOf(flake, large).subarray(0, 4096)));
});

test('a bundle that was pushed has one digest, and is fetched by it under the trust policy', async (context) => {
  const layout = await layoutOf(context);
  const bundle = await pushBundle(layout, FLAKE, RELEASE, 'v1');
  assert.equal(
    (await pushBundle(layout, [...FLAKE].reverse(), RELEASE, 'v1')).digest,
    bundle.digest,
  );
  const [key, foreign] = [newKey(), newKey()];
  const policy = policyFor(key.public.pem);
  const missing = { code: 'SIGNATURE_MISSING', hint: /bundle sign/ };
  await assert.rejects(fetchBundle(layout, bundle.digest, policy), missing);
  await signBundle(layout, 'v1', foreign, 'web');
  const invalid = { code: 'SIGNATURE_INVALID' };
  await assert.rejects(fetchBundle(layout, bundle.digest, policy), invalid);
  await signBundle(layout, 'v1', key, 'web');
  const fetched = await fetchBundle(layout, bundle.digest, policy);
  assert.equal(fetched.files.length, FLAKE.length);
  assert.equal(fetched.bundle.name, 'web-flake');
  const newer = policyFor(key.public.pem, { minimumSequence: 4 });
  await assert.rejects(fetchBundle(layout, bundle.digest, newer), { code: 'VERSION_REFUSED' });
});

test('a manifest of another kind is no bundle', async (context) => {
  const layout = await layoutOf(context);
  await pushBundle(layout, FLAKE, RELEASE, 'v1');
  const content = await layout.manifest('v1');
  const changed = Buffer.from(content.bytes).toString().replace('nix-flake.v1"', 'other.v1"');
  const other = { ...content, bytes: Buffer.from(changed) };
  assert.throws(() => parseBundle(other), { code: 'NIX_BUNDLE_INVALID' });
});

const newKey = () => readSigningKey(generateKeyPair('ed25519').privatePem);
