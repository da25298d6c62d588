import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Digest, sha256 } from '../../digest.ts';
import type { BootImageInfo } from '../../schema/boot-image-info.ts';
import type { ModuleName } from '../../schema/module.ts';
import type { Layout } from '../oci/layout.ts';
import { MEDIA } from '../oci/media-types.ts';
import { generateKeyPair, readSigningKey } from '../signature/keys.ts';
import { parsePolicy } from '../signature/policy.ts';
import { signModule } from '../signature/sign.ts';
import { putBytes, putModule, temporaryLayout } from '../signature/testing.ts';
import {
  BOOT_MEDIA,
  type BootContent,
  bootImageOf,
  bootManifest,
  EMPTY_JSON,
  parseBootManifest,
} from './manifest.ts';
import { signBootImage } from './sign.ts';
import { verifyBootArtifact } from './verify.ts';

const release = (name: string, sequence: number) =>
  ({ name, sequence, version: '1.2.0' }) as Pick<BootImageInfo, 'name' | 'sequence' | 'version'>;

const newKey = () => {
  const { privatePem, publicPem } = generateKeyPair('p256');
  return { key: readSigningKey(privatePem), pem: publicPem };
};
const [ours, foreign] = [newKey(), newKey()];

const policyOf = (modules: readonly string[], mode = 'enforce', minimumSequence = 0) =>
  parsePolicy({ format: 1, mode, rules: [{ modules, keys: [ours.pem], minimumSequence }] });

async function putBoot(layout: Layout, change: Partial<BootContent> = {}): Promise<Digest> {
  const layer = (file: keyof typeof BOOT_MEDIA) =>
    putBytes(layout, BOOT_MEDIA[file], Buffer.from(`the ${file}`));
  await putBytes(layout, MEDIA.empty, EMPTY_JSON);
  const manifest = bootManifest({
    kernel: await layer('kernel'),
    initramfs: await layer('initramfs'),
    uki: await layer('uki'),
    loader: await layer('loader'),
    kernelRelease: '6.12.0-amd64',
    commandLine: 'quiet',
    release: release('boot-metal', 7),
    ...change,
  });
  return (await layout.putManifest(manifest, MEDIA.manifest, 'stable')).digest;
}

async function signedLayout(t: TestContext, change: Partial<BootContent> = {}): Promise<Layout> {
  const layout = await temporaryLayout(t);
  await putBoot(layout, change);
  await signBootImage(layout, 'stable', ours.key, 'boot');
  return layout;
}

const verify = async (
  layout: Layout,
  more: Partial<Parameters<typeof verifyBootArtifact>[0]> = {},
) =>
  verifyBootArtifact({
    source: layout,
    manifest: await layout.manifest('stable'),
    policy: policyOf(['boot-*']),
    ...more,
  });

test('a boot image signed by a key of its name is proved, down to the digest of each file', async (t) => {
  const layout = await signedLayout(t);
  const { digest, bytes, mediaType } = await layout.manifest('stable');
  const wanted = bootImageOf(parseBootManifest({ bytes, mediaType }, 'it'), 'boot', digest);
  const verified = await verify(layout, {
    wanted,
    expectedName: 'boot-metal' as ModuleName,
    floor: 7,
  });
  assert.deepEqual(verified.release, release('boot-metal', 7));
  assert.equal(verified.keyId, ours.key.public.id);
  assert.equal(verified.uki?.digest, sha256('the uki'));
  assert.equal(verified.loader?.size, 'the loader'.length);
  assert.deepEqual(verified.findings, []);
});

test('one that nobody signed, or a key of another name did, is refused', async (t) => {
  const unsigned = await temporaryLayout(t);
  await putBoot(unsigned);
  await assert.rejects(verify(unsigned), { code: 'SIGNATURE_MISSING', hint: /billet image sign/ });
  await signBootImage(unsigned, 'stable', foreign.key, 'boot');
  await assert.rejects(verify(unsigned), { code: 'SIGNATURE_INVALID' });
  const layout = await signedLayout(t);
  const policy = parsePolicy({
    format: 1,
    rules: [
      { modules: ['web'], keys: [ours.pem] },
      { modules: ['boot-metal'], keys: [foreign.pem] },
    ],
  });
  await assert.rejects(verify(layout, { policy }), {
    code: 'SIGNATURE_INVALID',
    message: /may sign web only/,
  });
});

test('the valid signature of another manifest proves nothing for this one', async (t) => {
  const layout = await signedLayout(t);
  const signature = await layout.manifest(
    `${(await layout.manifest('stable')).digest.replace(':', '-')}.sig`,
  );
  const other = await putBoot(layout, { release: release('boot-metal', 8) });
  await layout.putManifest(signature.bytes, MEDIA.manifest, `${other.replace(':', '-')}.sig`);
  await assert.rejects(verify(layout), { code: 'SIGNATURE_INVALID', message: /signature is for/ });
});

test('an older release is refused, unless it is that of the last good generation', async (t) => {
  const layout = await signedLayout(t);
  const { digest } = await layout.manifest('stable');
  await assert.rejects(verify(layout, { floor: 8 }), { code: 'VERSION_REFUSED' });
  await assert.doesNotReject(verify(layout, { floor: 8, exempt: new Set([digest]) }));
  const policy = policyOf(['boot-metal'], 'enforce', 9);
  const exempt = new Set([digest]);
  await assert.rejects(verify(layout, { policy, exempt }), { code: 'VERSION_REFUSED' });
});

test('a signed module is no boot image, whatever its key may sign', async (t) => {
  const layout = await temporaryLayout(t);
  await putModule(layout, { name: 'stable' });
  await signModule(layout, 'stable', ours.key, 'stable');
  await assert.rejects(verify(layout, { policy: policyOf(['*']) }), { code: 'OCI_INVALID' });
});

test('one without a name, or of another name than the one that runs, is refused in every mode', async (t) => {
  const layout = await temporaryLayout(t);
  await putBoot(layout, { release: null });
  await assert.rejects(signBootImage(layout, 'stable', ours.key, 'boot'), {
    code: 'BOOT_IMAGE_INVALID',
  });
  const policy = policyOf(['*'], 'off');
  await assert.rejects(verify(layout, { policy }), { code: 'BOOT_IMAGE_INVALID' });
  await putBoot(layout);
  const expectedName = 'boot-lab' as ModuleName;
  await assert.rejects(verify(layout, { policy, expectedName }), { code: 'BOOT_IMAGE_INVALID' });
});

test('desired state that names other files than were signed is refused', async (t) => {
  const layout = await signedLayout(t);
  const { digest, bytes, mediaType } = await layout.manifest('stable');
  const wanted = bootImageOf(parseBootManifest({ bytes, mediaType }, 'it'), 'boot', digest);
  for (const change of [
    { uki: sha256('another') },
    { loader: null },
    { kernelRelease: '6.1.0' },
    { manifest: sha256('another') },
  ])
    await assert.rejects(verify(layout, { wanted: { ...wanted, ...change } }), {
      code: 'DIGEST_MISMATCH',
    });
});

test('in audit mode a missing signature and an old release are findings', async (t) => {
  const layout = await temporaryLayout(t);
  await putBoot(layout);
  const { findings, keyId } = await verify(layout, { policy: policyOf(['*'], 'audit'), floor: 9 });
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['SIGNATURE_MISSING', 'VERSION_REFUSED'],
  );
  assert.equal(keyId, null);
});

test('a manifest with two kernels, or a sequence that is no number, is no boot image', async (t) => {
  const layout = await temporaryLayout(t);
  await putBoot(layout);
  const { bytes, mediaType } = await layout.manifest('stable');
  const document = JSON.parse(Buffer.from(bytes).toString());
  for (const change of [
    { layers: [...document.layers, document.layers[0]] },
    { layers: document.layers.slice(1) },
    { annotations: { ...document.annotations, 'dev.billet.boot.sequence': '07' } },
    { annotations: {} },
  ]) {
    const changed = Buffer.from(JSON.stringify({ ...document, ...change }));
    assert.throws(() => parseBootManifest({ bytes: changed, mediaType }, 'it'), {
      code: 'OCI_INVALID',
    });
  }
});
