import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { bundleToJSON, toDSSEBundle, toMessageSignatureBundle } from '@sigstore/bundle';
import { hexOf, sha256 } from '../../digest.ts';
import { BilletError, type Code } from '../../errors.ts';
import { verifyBlob } from './blob.ts';
import { contentOf } from './content.ts';
import { generateKeyPair, type KeyKind, readSigningKey } from './keys.ts';
import { contentOfDigest, contentOfFile } from './prehashed.ts';
import { temporaryDirectory } from './testing.ts';

const INTOTO = 'application/vnd.in-toto+json';
const ARTIFACT = Buffer.from('an artifact');
const DIGEST = sha256(ARTIFACT);
const CONTENT = contentOf(ARTIFACT, DIGEST);
const SIGNAL = new AbortController().signal;

const newKey = (kind: KeyKind) => readSigningKey(generateKeyPair(kind).privatePem);
const json = (bundle: Parameters<typeof bundleToJSON>[0]) =>
  Buffer.from(JSON.stringify(bundleToJSON(bundle)));

const throws = (work: () => unknown, code: Code, message = /./) =>
  assert.throws(work, (error) => {
    assert.ok(error instanceof BilletError, String(error));
    assert.deepEqual([error.code, message.test(error.message)], [code, true], error.message);
    return error.hint !== '';
  });

/** DSSE protocol, "Signature definition". */
function statement(key: ReturnType<typeof newKey>, more: object = {}): Buffer {
  const payload = Buffer.from(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ digest: { sha256: hexOf(DIGEST) } }],
      predicateType: 'https://sigstore.dev/cosign/sign/v1',
      predicate: {},
      ...more,
    }),
  );
  const head = `DSSEv1 ${INTOTO.length} ${INTOTO} ${payload.length} `;
  const signature = Buffer.from(key.sign(Buffer.concat([Buffer.from(head), payload])));
  const keyHint = key.public.hint;
  return json(toDSSEBundle({ artifact: payload, artifactType: INTOTO, signature, keyHint }));
}

const message = (key: ReturnType<typeof newKey>, bytes = ARTIFACT, digest = sha256(bytes)) =>
  json(
    toMessageSignatureBundle({
      digest: Buffer.from(hexOf(digest), 'hex'),
      signature: Buffer.from(key.sign(bytes)),
      keyHint: key.public.hint,
    }),
  );

for (const kind of ['p256', 'ed25519'] as const)
  test(`${kind}: a message and a statement are for one artifact and one key`, () => {
    const [key, other] = [newKey(kind), newKey(kind)];
    const check = (bundle: Buffer, by = key) => verifyBlob(bundle, CONTENT, { key: by.public });
    for (const good of [message(key), statement(key)]) {
      assert.deepEqual(check(good), { digest: DIGEST });
      throws(() => check(good, other), 'SIGNATURE_INVALID', /not signed by/);
      const changed = contentOf(Buffer.from('another'), sha256('another'));
      throws(() => verifyBlob(good, changed, { key: key.public }), 'SIGNATURE_INVALID');
    }
    const lies = message(key, Buffer.from('another'), DIGEST);
    throws(() => check(lies), 'SIGNATURE_INVALID', /not signed by/);
    // A true signature under a false claim of what it is for.
    throws(() => check(message(key, ARTIFACT, sha256('x'))), 'SIGNATURE_INVALID', /is for/);
    const about = { subject: [{ digest: { sha256: hexOf(sha256('x')) } }] };
    throws(() => check(statement(key, about)), 'SIGNATURE_INVALID', /something else/);
    const attests = { predicateType: 'https://slsa.dev/provenance/v1' };
    throws(() => check(statement(key, attests)), 'SIGNATURE_INVALID', /releases nothing/);
  });

test('what is no bundle is SIGNATURE_INVALID, and says so', () => {
  const signer = { key: newKey('p256').public };
  for (const bad of ['', '{', '[]', '{}', '{"mediaType":"x"}', '{"base64Signature":"*"}', '\xff'])
    throws(() => verifyBlob(Buffer.from(bad), CONTENT, signer), 'SIGNATURE_INVALID', /bundle/);
});

test('a digest is enough for P-256; a file is hashed as a stream and read for Ed25519', async (t) => {
  const file = join(await temporaryDirectory(t), 'artifact');
  await writeFile(file, ARTIFACT);
  for (const kind of ['p256', 'ed25519'] as const) {
    const [key, other] = [newKey(kind), newKey(kind)];
    const content = await contentOfFile(file, SIGNAL);
    assert.deepEqual(verifyBlob(message(key), content, { key: key.public }), { digest: DIGEST });
    throws(() => verifyBlob(message(key), content, { key: other.public }), 'SIGNATURE_INVALID');
    // A statement names the digest that it is about, so that any key will do.
    verifyBlob(statement(key), contentOfDigest(DIGEST), { key: key.public });
    const byDigest = () => verifyBlob(message(key), contentOfDigest(DIGEST), { key: key.public });
    if (kind === 'p256') byDigest();
    else throws(byDigest, 'UNSUPPORTED', /covers the bytes/);
  }
  const changing = await contentOfFile(file, SIGNAL);
  await writeFile(file, 'changed since');
  const key = newKey('ed25519');
  throws(() => verifyBlob(message(key), changing, { key: key.public }), 'DIGEST_MISMATCH');
  await assert.rejects(contentOfFile(join(file, 'x'), SIGNAL), { code: 'ARGUMENT_INVALID' });
});

test('prehashed P-256 agrees with OpenSSL, on high S and on what is no signature too', () => {
  const content = contentOfDigest(DIGEST);
  const [key, other] = [newKey('p256'), newKey('p256')];
  const half = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8n;
  let high = 0;
  for (let round = 0; round < 24; round++) {
    const signature = Buffer.from(key.sign(ARTIFACT));
    const s = BigInt(`0x${signature.subarray(-32).toString('hex')}`);
    high += s > half ? 1 : 0;
    const flipped = Buffer.from(signature);
    flipped[12 + round] = (flipped[12 + round] ?? 0) ^ 1;
    for (const bytes of [signature, flipped, signature.subarray(1), Buffer.alloc(70)])
      for (const by of [key, other]) {
        const [ours, openssl] = [content, CONTENT].map((each) => each.verify(by.public.key, bytes));
        assert.equal(ours, openssl);
      }
  }
  assert.ok(high > 0);
});
