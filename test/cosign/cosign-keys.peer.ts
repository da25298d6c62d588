// cosign 2.5 and Billet verify what the other one signs with a key: `.sig` tags over a coordinator's
// registry, bundles over a manifest's bytes, P-256 and Ed25519, and what both have to refuse.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  changedJson,
  EMPTY_ROOT,
  flip,
  PASSWORD,
  passed,
  type Registry,
  refused,
  startRegistry,
} from './cosign-fixture.ts';

const KINDS = ['p256', 'ed25519'] as const;
const NO_LOG = ['--insecure-ignore-tlog=true'];
const UNLOGGED = ['--tlog-upload=false', '--yes'];

let registry: Registry;
/** Paths without `.key` and `.pub`: cosign's (encrypted) and Billet's. */
const keys: Record<string, string> = {};
let root = '';

before(async () => {
  registry = await startRegistry();
  const { dir, cosign, billet } = registry;
  root = await registry.file('empty-root.json', EMPTY_ROOT);
  for (const kind of KINDS) {
    const prefix = join(dir, `billet-${kind}`);
    passed(await billet('module', 'keygen', prefix, '--type', kind));
    keys[`billet ${kind}`] = prefix;
  }
  const made = join(dir, 'cosign-p256');
  passed(await cosign('generate-key-pair', '--output-key-prefix', made));
  keys['cosign p256'] = made;
  const imported = join(dir, 'cosign-ed25519');
  const from = ['--key', `${keys['billet ed25519']}.key`];
  passed(await cosign('import-key-pair', ...from, '--output-key-prefix', imported));
  keys['cosign ed25519'] = imported;
  const other = join(dir, 'other');
  passed(await cosign('generate-key-pair', '--output-key-prefix', other));
  keys.other = other;
});
after(() => registry.close());

const publicKey = (name: string) => ['--key', `${keys[name]}.pub`];
const privateKey = (name: string) => ['--key', `${keys[name]}.key`];

const cosignVerify = (image: string, key: string, ...more: string[]) =>
  registry.cosign('verify', ...publicKey(key), ...NO_LOG, ...registry.flags, ...more, image);
const cosignSign = (image: string, key: string, ...more: string[]) =>
  registry.cosign('sign', ...privateKey(key), ...UNLOGGED, ...registry.flags, ...more, image);
const cosignVerifyBlob = (bundle: string, key: string, artifact: string) => {
  const where = ['--new-bundle-format', '--trusted-root', root, '--bundle', bundle];
  return registry.cosign('verify-blob', ...publicKey(key), ...NO_LOG, ...where, artifact);
};
const billetVerify = (reference: string, key: string) =>
  registry.billet('module', 'verify', reference, ...publicKey(key), '--json');
const billetVerifyBlob = (bundle: string, key: string, artifact: string) =>
  registry.billet('verify-blob', '--bundle', bundle, ...publicKey(key), artifact);

for (const kind of KINDS)
  test(`cosign verifies the .sig and the bundle that Billet signs with ${kind}`, async () => {
    const key = `billet ${kind}`;
    const { image, reference, digest, manifest } = await registry.push(`ours-${kind}`);
    assert.notEqual((await cosignVerify(image, key)).code, 0);
    passed(await registry.billet('module', 'sign', reference, ...privateKey(key)));
    const [claim] = JSON.parse(passed(await cosignVerify(image, key)).stdout);
    assert.equal(claim.critical.image['docker-manifest-digest'], digest);
    assert.notEqual((await cosignVerify(image, 'other')).code, 0);
    // cosign 2.5 verifies bundles as files, over the manifest's bytes.
    const bundle = await fetchBundle(reference, image);
    for (const [by, artifact, good] of [
      [key, manifest, true],
      ['other', manifest, false],
      [key, root, false],
    ] as const) {
      assert.equal((await cosignVerifyBlob(bundle, by, artifact)).code === 0, good, by);
      assert.equal((await billetVerifyBlob(bundle, by, artifact)).code === 0, good, by);
    }
  });

for (const kind of KINDS)
  test(`Billet verifies the .sig that cosign signs with an encrypted ${kind} key`, async () => {
    const key = `cosign ${kind}`;
    const { image, reference } = await registry.push(`theirs-${kind}`);
    refused(await billetVerify(reference, key), 'SIGNATURE_MISSING');
    passed(await cosignSign(image, key, '-a', 'release=2026-11', '-a', 'team=web'));
    const verified = JSON.parse(passed(await billetVerify(reference, key)).stdout);
    assert.deepEqual([verified.form, verified.label.name], ['simple-signing', `theirs-${kind}`]);
    refused(await billetVerify(reference, 'other'));
    // Annotations are part of what is signed: cosign shows them, and refuses others.
    const annotated = passed(await cosignVerify(image, key, '-a', 'team=web')).stdout;
    assert.equal(JSON.parse(annotated)[0].optional.release, '2026-11');
    assert.notEqual((await cosignVerify(image, key, '-a', 'team=db')).code, 0);
  });

test('signatures of both tools and of two keys stand side by side', async () => {
  const { image, reference } = await registry.push('both');
  passed(await cosignSign(image, 'cosign p256', '-a', 'first=1'));
  passed(await registry.billet('module', 'sign', reference, ...privateKey('billet p256')));
  passed(await cosignSign(image, 'other'));
  for (const key of ['cosign p256', 'billet p256', 'other']) {
    passed(await cosignVerify(image, key));
    passed(await billetVerify(reference, key));
  }
  refused(await billetVerify(reference, 'billet ed25519'));
  assert.notEqual((await cosignVerify(image, 'billet ed25519')).code, 0);
});

for (const kind of KINDS)
  test(`a module signed by Billet with cosign's encrypted ${kind} key is one that cosign verifies`, async () => {
    const key = `cosign ${kind}`;
    const { image, reference, digest } = await registry.push(`encrypted-${kind}`);
    const sign = ['module', 'sign', reference, ...privateKey(key)];
    const password = await registry.file('password', `${PASSWORD}\n`);
    const wrong = await registry.file('wrong', 'wrong');
    const failed = await registry.billet(...sign, '--password-file', wrong);
    refused(failed, 'ARGUMENT_INVALID');
    assert.doesNotMatch(failed.stderr, /correct horse|wrong\b.*wrong/);
    refused(await billetVerify(reference, key), 'SIGNATURE_MISSING');
    passed(await registry.billet(...sign, '--password-file', password));
    passed(await registry.billet(...sign)); // COSIGN_PASSWORD; adds nothing
    assert.equal(JSON.parse(passed(await cosignVerify(image, key)).stdout).length, 1);
    assert.match(passed(await billetVerify(reference, key)).stdout, new RegExp(digest));
  });

test('a .sig moved to another module is refused by both', async () => {
  const [from, to] = [await registry.push('moved-from'), await registry.push('moved-to')];
  passed(await cosignSign(from.image, 'cosign p256'));
  const tag = (image: string) => image.replace('@sha256:', ':sha256-').concat('.sig');
  const copied = await registry.oras(
    ...['copy', '--from-ca-file', join(registry.dir, 'ca.pem')],
    ...['--to-ca-file', join(registry.dir, 'ca.pem')],
    ...[tag(from.image), tag(to.image)],
  );
  passed(copied);
  refused(await billetVerify(to.reference, 'cosign p256'));
  assert.notEqual((await cosignVerify(to.image, 'cosign p256')).code, 0);
});

for (const kind of KINDS)
  for (const format of ['cosign', 'sigstore'] as const)
    test(`a ${format} bundle by a ${kind} key over a manifest: both accept the same and refuse the same`, async () => {
      const key = `cosign ${kind}`;
      const { manifest, digest } = await registry.push(`blob-${kind}-${format}`);
      const bundle = join(registry.dir, `${kind}-${format}.json`);
      const formats = format === 'sigstore' ? ['--new-bundle-format'] : [];
      const sign = [...privateKey(key), ...UNLOGGED, ...formats, '--bundle', bundle];
      passed(await registry.cosign('sign-blob', ...sign, manifest));
      const theirs = (file: string, by: string, artifact: string) =>
        format === 'sigstore'
          ? cosignVerifyBlob(file, by, artifact)
          : registry.cosign(
              ...['verify-blob', ...publicKey(by), ...NO_LOG, '--bundle', file, artifact],
            );
      passed(await billetVerifyBlob(bundle, key, manifest));
      passed(await theirs(bundle, key, manifest));

      const tampered = await registry.file('tampered', `${await readFile(manifest, 'utf8')} `);
      const flipped = await changedJson(registry, bundle, 'flipped.json', flipSignature);
      for (const [file, by, artifact] of [
        [bundle, 'other', manifest],
        [bundle, key, tampered],
        [flipped, key, manifest],
      ] as const) {
        refused(await billetVerifyBlob(file, by, artifact));
        assert.notEqual((await theirs(file, by, artifact)).code, 0);
      }
      // ECDSA signs a digest, so that the digest is enough; Ed25519 signs the bytes.
      const byDigest = await billetVerifyBlob(bundle, key, digest);
      if (kind === 'p256') passed(byDigest);
      else refused(byDigest, 'UNSUPPORTED');
      if (format === 'sigstore')
        assert.equal((await theirs(bundle, key, digest)).code === 0, kind === 'p256');
      refused(
        await billetVerifyBlob(bundle, 'other', `sha256:${'0'.repeat(64)}`),
        'SIGNATURE_INVALID',
      );
    });

test('a bundle that cosign signs over a manifest and oras attaches is what a node accepts', async () => {
  const { image, reference, manifest } = await registry.push('attached');
  const bundle = join(registry.dir, 'attached.json');
  const sign = [...privateKey('cosign ed25519'), ...UNLOGGED, '--new-bundle-format'];
  passed(await registry.cosign('sign-blob', ...sign, '--bundle', bundle, manifest));
  await registry.attach(image, bundle);
  const { form } = JSON.parse(passed(await billetVerify(reference, 'cosign ed25519')).stdout);
  assert.equal(form, 'bundle');
  refused(await billetVerify(reference, 'other'));
});

test('every byte of an encrypted key that changes makes it unreadable, with a hint', async () => {
  const text = await readFile(`${keys['cosign p256']}.key`, 'utf8');
  const { reference } = await registry.push('broken-key');
  const body = Buffer.from(text.split('\n').slice(1, -2).join(''), 'base64').toString();
  const envelope = JSON.parse(body);
  const wrap = (json: unknown) =>
    `-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n${Buffer.from(JSON.stringify(json)).toString('base64')}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n`;
  const { kdf, cipher } = envelope;
  for (const broken of [
    {},
    { ...envelope, ciphertext: flip(envelope.ciphertext) },
    { ...envelope, cipher: { ...cipher, nonce: flip(cipher.nonce) } },
    { ...envelope, cipher: { ...cipher, name: 'none' } },
    { ...envelope, kdf: { ...kdf, salt: flip(kdf.salt) } },
    { ...envelope, kdf: { ...kdf, params: { N: 2 ** 30, r: 8, p: 1 } } },
  ]) {
    const key = await registry.file('broken.key', wrap(broken));
    refused(await registry.billet('module', 'sign', reference, '--key', key), 'ARGUMENT_INVALID');
  }
  refused(await billetVerify(reference, 'cosign p256'), 'SIGNATURE_MISSING');
});

async function fetchBundle(reference: string, image: string): Promise<string> {
  const repository = image.replace(/@.*/, '');
  const inspected = passed(await registry.billet('module', 'inspect', reference, '--json'));
  const [referrer] = JSON.parse(inspected.stdout).referrers;
  const ca = ['--ca-file', join(registry.dir, 'ca.pem')];
  const fetch = ['manifest', 'fetch', ...ca, `${repository}@${referrer.digest}`];
  const [layer] = JSON.parse(passed(await registry.oras(...fetch)).stdout).layers;
  const file = join(registry.dir, 'fetched.json');
  const blob = `${repository}@${layer.digest}`;
  passed(await registry.oras('blob', 'fetch', ...ca, '--output', file, blob));
  return file;
}

function flipSignature(json: {
  messageSignature?: { signature: string };
  base64Signature?: string;
}) {
  if (json.messageSignature)
    json.messageSignature.signature = flip(json.messageSignature.signature);
  else json.base64Signature = flip(json.base64Signature ?? '');
}
