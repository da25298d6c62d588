import assert from 'node:assert/strict';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bundleToJSON, toMessageSignatureBundle } from '@sigstore/bundle';
import { generateKeyPair, readSigningKey } from '#shared/artifact/signature/keys.ts';
import { hexOf, sha256 } from '#shared/digest.ts';
import { EXIT } from '../failure.ts';
import { billet } from '../testing.ts';

const ARTIFACT = Buffer.from('an artifact');

/** Files as a person has them: artifact, bundle, two public keys. */
async function workspace(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'billet-verify-blob-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const at = (name: string) => join(dir, name);
  const { privatePem, publicPem } = generateKeyPair('p256');
  const key = readSigningKey(privatePem);
  const bundle = toMessageSignatureBundle({
    digest: Buffer.from(hexOf(sha256(ARTIFACT)), 'hex'),
    signature: Buffer.from(key.sign(ARTIFACT)),
    keyHint: key.public.hint,
  });
  await writeFile(at('artifact'), ARTIFACT);
  await writeFile(at('bundle.json'), JSON.stringify(bundleToJSON(bundle)));
  await writeFile(at('key.pub'), publicPem);
  await writeFile(at('other.pub'), generateKeyPair('p256').publicPem);
  const verify = (bundleFile: string, keyFile: string, artifact: string, ...more: string[]) =>
    billet(['verify-blob', '--bundle', at(bundleFile), '--key', at(keyFile), ...more, artifact]);
  return { at, verify, keyId: key.public.id };
}

test('a good signature ends with 0 and says what is signed by whom', async (t) => {
  const { at, verify, keyId } = await workspace(t);
  const digest = sha256(ARTIFACT);
  for (const artifact of [at('artifact'), digest]) {
    const { code, stdout } = await verify('bundle.json', 'key.pub', artifact, '--json');
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), { verified: true, digest, keyId, identity: null });
  }
  const { stdout } = await verify('bundle.json', 'key.pub', at('artifact'));
  assert.match(stdout, new RegExp(`artifact\\s+${digest}\nsigned by\\s+${keyId}\n$`));
});

test('another key, another artifact and another digest end with 4 and print nothing', async (t) => {
  const { at, verify } = await workspace(t);
  for (const [key, artifact] of [
    ['other.pub', at('artifact')],
    ['key.pub', at('key.pub')],
    ['key.pub', sha256('another')],
  ] as const) {
    const { code, stdout, stderr } = await verify('bundle.json', key, artifact);
    assert.deepEqual([code, stdout], [EXIT.refused, '']);
    assert.match(stderr, /^error: .+\nhint: .+\ncode: SIGNATURE_INVALID\n$/);
  }
});

test('files that are not there, too large or no keys, and half a digest end with 2', async (t) => {
  const { at, verify } = await workspace(t);
  await writeFile(at('large.json'), '');
  await truncate(at('large.json'), 1024 ** 3);
  for (const [bundle, key, artifact, code] of [
    ['none', 'key.pub', at('artifact'), 'ARGUMENT_INVALID'],
    ['bundle.json', 'none', at('artifact'), 'ARGUMENT_INVALID'],
    ['bundle.json', 'key.pub', at('none'), 'ARGUMENT_INVALID'],
    ['bundle.json', 'key.pub', 'sha256:abc', 'ARGUMENT_INVALID'],
    ['large.json', 'key.pub', at('artifact'), 'ARGUMENT_INVALID'],
    ['bundle.json', 'bundle.json', at('artifact'), 'POLICY_INVALID'],
  ] as const) {
    const ran = await verify(bundle, key, artifact);
    assert.notEqual(ran.code, 0);
    assert.match(ran.stderr, new RegExp(`\nhint: .+\ncode: ${code}\n$`), bundle);
  }
});
