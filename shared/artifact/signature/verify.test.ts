import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { Digest } from '../../digest.ts';
import { sha256 } from '../../digest.ts';
import { BilletError, type Code } from '../../errors.ts';
import { ModuleName } from '../../schema/module.ts';
import type { Layout } from '../oci/layout.ts';
import { parseImageManifest } from '../oci/schema.ts';
import type { SignatureForm } from './evidence.ts';
import { generateKeyPair, type KeyKind, readSigningKey } from './keys.ts';
import { parsePolicy } from './policy.ts';
import { signModule } from './sign.ts';
import { signatureTag } from './simple-signing.ts';
import { putModule, temporaryLayout } from './testing.ts';
import { type VerifyRequest, verifyManifest } from './verify.ts';

const FORMS: readonly SignatureForm[] = ['simple-signing', 'bundle'];
const KINDS: readonly KeyKind[] = ['p256', 'ed25519'];

function newKey(kind: KeyKind = 'p256') {
  const { privatePem, publicPem } = generateKeyPair(kind);
  return { signing: readSigningKey(privatePem), pem: publicPem };
}

const policyFor = (pem: string, modules = ['*'], more: object = {}, mode = 'enforce') =>
  parsePolicy({ format: 1, mode, rules: [{ modules, keys: [pem], ...more }] });

async function verify(
  layout: Layout,
  reference: string,
  rest: Omit<VerifyRequest, 'source' | 'manifest'>,
) {
  return await verifyManifest({
    source: layout,
    manifest: await layout.manifest(reference),
    ...rest,
  });
}

const refused = (work: Promise<unknown>, code: Code, message = /./) =>
  assert.rejects(work, (error) => {
    assert.ok(error instanceof BilletError, String(error));
    assert.deepEqual([error.code, message.test(error.message)], [code, true], error.message);
    assert.notEqual(error.hint, '');
    return true;
  });

for (const form of FORMS)
  for (const kind of KINDS)
    test(`a ${form} signature by a ${kind} key that the policy names is accepted`, async (t) => {
      const layout = await temporaryLayout(t);
      const digest = await putModule(layout);
      const key = newKey(kind);
      await signModule(layout, 'base', key.signing, 'example/base', [form]);
      const verified = await verify(layout, 'base', {
        policy: policyFor(key.pem),
        expectedName: ModuleName.parse('base'),
      });
      assert.deepEqual(
        [verified.digest, verified.form, verified.keyId, verified.findings],
        [digest, form, key.signing.public.id, []],
      );
    });

for (const form of FORMS)
  test(`${form}: another key, no signature and a key for other modules are refused`, async (t) => {
    const layout = await temporaryLayout(t);
    await putModule(layout);
    const [key, other] = [newKey(), newKey()];
    await refused(verify(layout, 'base', { policy: policyFor(key.pem) }), 'SIGNATURE_MISSING');
    await signModule(layout, 'base', other.signing, 'x', [form]);
    await refused(verify(layout, 'base', { policy: policyFor(key.pem) }), 'SIGNATURE_INVALID');
    const rules = [
      { modules: ['base'], keys: [key.pem] },
      { modules: ['web-*'], keys: [other.pem] },
    ];
    const policy = parsePolicy({ format: 1, rules });
    await refused(verify(layout, 'base', { policy }), 'SIGNATURE_INVALID', /web-\* only/);
    await refused(
      verify(layout, 'base', { policy: policyFor(key.pem, ['db']) }),
      'SIGNATURE_MISSING',
      /names no key/,
    );
  });

test('a .sig tag moved to another manifest is refused', async (t) => {
  const layout = await temporaryLayout(t);
  const [base, web] = [await putModule(layout), await putModule(layout, { name: 'web' })];
  const key = newKey();
  await signModule(layout, 'web', key.signing, 'x', ['simple-signing']);
  const { bytes, mediaType } = await layout.manifest(signatureTag(web));
  await layout.putManifest(bytes, mediaType, signatureTag(base));
  await refused(
    verify(layout, 'base', { policy: policyFor(key.pem) }),
    'SIGNATURE_INVALID',
    /is for/,
  );
});

for (const kind of KINDS)
  test(`a ${kind} bundle attached to another manifest is refused`, async (t) => {
    const layout = await temporaryLayout(t);
    await putModule(layout);
    await putModule(layout, { name: 'web' });
    const key = newKey(kind);
    await signModule(layout, 'web', key.signing, 'x', ['bundle']);
    const [bundle] = await layout.referrers((await layout.manifest('web')).digest);
    assert.ok(bundle);
    const base = await layout.manifest('base');
    const moved = JSON.parse(Buffer.from((await layout.manifest(bundle.digest)).bytes).toString());
    moved.subject = { mediaType: base.mediaType, digest: base.digest, size: base.bytes.length };
    await layout.putManifest(Buffer.from(JSON.stringify(moved)), bundle.mediaType);
    await refused(verify(layout, 'base', { policy: policyFor(key.pem) }), 'SIGNATURE_INVALID');
  });

test('a flipped byte in manifest or config is refused, signed or not', async (t) => {
  const layout = await temporaryLayout(t);
  await putModule(layout);
  const key = newKey();
  await signModule(layout, 'base', key.signing, 'x');
  const content = await layout.manifest('base');
  const policy = policyFor(key.pem);
  const bytes = Uint8Array.from(content.bytes);
  bytes[20] = (bytes[20] ?? 0) ^ 1;
  const flipped = { ...content, bytes };
  await refused(verifyManifest({ source: layout, manifest: flipped, policy }), 'DIGEST_MISMATCH');
  const renamed = { ...flipped, digest: sha256(bytes) };
  await assert.rejects(verifyManifest({ source: layout, manifest: renamed, policy }), BilletError);

  const { config } = parseImageManifest(content.bytes, content.mediaType);
  await flip(layout, config.digest);
  await refused(verify(layout, 'base', { policy }), 'DIGEST_MISMATCH');
});

test('a damaged signature hides no good one beside it', async (t) => {
  const layout = await temporaryLayout(t);
  const digest = await putModule(layout);
  const key = newKey();
  await signModule(layout, 'base', key.signing, 'x');
  const sig = await layout.manifest(signatureTag(digest));
  const [payload] = parseImageManifest(sig.bytes, sig.mediaType).layers;
  assert.ok(payload);
  await flip(layout, payload.digest);
  const verified = await verify(layout, 'base', { policy: policyFor(key.pem) });
  assert.equal(verified.form, 'bundle');
});

test('another name, no label, a strange field and a SHA-512 seal are refused', async (t) => {
  const layout = await temporaryLayout(t);
  const policy = policyFor(newKey().pem);
  await putModule(layout);
  await refused(
    verify(layout, 'base', { policy, expectedName: ModuleName.parse('web') }),
    'MODULE_INVALID',
  );
  const labels = {
    format: 1,
    name: 'base',
    version: '1.0.0',
    sequence: 1,
    kind: 'system',
    root: true,
  };
  await putModule(layout, { labels: { 'dev.billet.module': JSON.stringify(labels) } });
  await refused(verify(layout, 'base', { policy }), 'MODULE_INVALID', /root/);
  await putModule(layout, { labels: { 'dev.billet.module': '{' } });
  await refused(verify(layout, 'base', { policy }), 'MODULE_INVALID');
  await putModule(layout, { labels: { 'containers.composefs.fsverity': 'a'.repeat(128) } });
  await refused(verify(layout, 'base', { policy }), 'COMPOSEFS_FORMAT');
});

test('versions below policy or floor are refused; the last good generation passes the floor only', async (t) => {
  const layout = await temporaryLayout(t);
  const digest = await putModule(layout, { sequence: 5 });
  const key = newKey();
  await signModule(layout, 'base', key.signing, 'x');
  const policy = policyFor(key.pem);
  const exempt = new Set<Digest>([digest]);
  await verify(layout, 'base', { policy, floor: 5 });
  await refused(verify(layout, 'base', { policy, floor: 6 }), 'VERSION_REFUSED');
  await verify(layout, 'base', { policy, floor: 6, exempt });
  const strict = policyFor(key.pem, ['*'], { minimumSequence: 6 });
  await refused(verify(layout, 'base', { policy: strict, exempt }), 'VERSION_REFUSED');
});

test('audit and off report what enforce refuses, and accept no broken digest', async (t) => {
  const layout = await temporaryLayout(t);
  await putModule(layout);
  for (const [mode, codes] of [
    ['audit', ['SIGNATURE_MISSING', 'VERSION_REFUSED']],
    ['off', ['SIGNATURE_MISSING', 'VERSION_REFUSED']],
  ] as const) {
    const policy = policyFor(newKey().pem, ['*'], {}, mode);
    const { findings, keyId } = await verify(layout, 'base', { policy, floor: 9 });
    assert.deepEqual([findings.map(({ code }) => code), keyId], [codes, null]);
    const content = await layout.manifest('base');
    const manifest = { ...content, digest: sha256('other') };
    await refused(verifyManifest({ source: layout, manifest, policy }), 'DIGEST_MISMATCH');
  }
});

test('signing twice adds nothing, and a second key stands beside the first', async (t) => {
  const layout = await temporaryLayout(t);
  const digest = await putModule(layout);
  const [one, two] = [newKey('ed25519'), newKey('p256')];
  for (const key of [one, two, one, two]) await signModule(layout, 'base', key.signing, 'x');
  const { bytes, mediaType } = await layout.manifest(signatureTag(digest));
  assert.equal(parseImageManifest(bytes, mediaType).layers.length, 2);
  assert.equal((await layout.referrers(digest)).length, 2);
  for (const key of [one, two]) await verify(layout, 'base', { policy: policyFor(key.pem) });
});

async function flip(layout: Layout, digest: Digest): Promise<void> {
  const bytes = await readFile(layout.blobPath(digest));
  bytes[10] = (bytes[10] ?? 0) ^ 1;
  await writeFile(layout.blobPath(digest), bytes);
}
