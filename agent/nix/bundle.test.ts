import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pushBundle, signBundle } from '#shared/artifact/nix/bundle.ts';
import { openLayout } from '#shared/artifact/oci/layout.ts';
import { generateKeyPair, readSigningKey } from '#shared/artifact/signature/keys.ts';
import { ModuleName } from '#shared/schema/module.ts';
import { TrustPolicy } from '#shared/schema/trust-policy.ts';
import { unpackBundle } from './bundle.ts';

async function pushed(context: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'billet-bundle-'));
  context.after(() => rm(dir, { recursive: true }));
  const layout = await openLayout(join(dir, 'layout'), { create: true });
  const release = { name: ModuleName.parse('web-flake'), version: '1', sequence: 1 };
  const content = Buffer.from('#!/bin/sh\n');
  const { digest } = await pushBundle(
    layout,
    [
      { kind: 'file', path: 'flake.nix', executable: false, content: Buffer.from('{ }') },
      { kind: 'file', path: 'bin/run', executable: true, content },
      { kind: 'symlink', path: 'run', target: 'bin/run' },
    ],
    release,
    'v1',
  );
  const key = readSigningKey(generateKeyPair('ed25519').privatePem);
  const rules = [{ modules: ['web-flake'], keys: [key.public.pem] }];
  return { dir, layout, digest, key, policy: TrustPolicy.parse({ format: 1, rules }) };
}

test('a signed bundle is unpacked whole, with its modes and links', async (context) => {
  const { dir, layout, digest, key, policy } = await pushed(context);
  await signBundle(layout, 'v1', key, 'web');
  const target = join(dir, 'flake');
  assert.match(await unpackBundle(layout, digest, policy, target), /web-flake 1 .*3 files/);
  assert.equal(await readFile(join(target, 'flake.nix'), 'utf8'), '{ }');
  assert.equal((await stat(join(target, 'bin/run'))).mode & 0o777, 0o755);
  assert.equal(await readlink(join(target, 'run')), 'bin/run');
  await assert.rejects(unpackBundle(layout, digest, policy, target), { code: 'ARGUMENT_INVALID' });
});

test('of a bundle without a signature, or with other bytes than its digest, nothing is left', async (context) => {
  const { dir, layout, digest, key, policy } = await pushed(context);
  const target = join(dir, 'flake');
  const unsigned = unpackBundle(layout, digest, policy, target);
  await assert.rejects(unsigned, { code: 'SIGNATURE_MISSING' });
  const { layer } = await signBundle(layout, 'v1', key, 'web');
  await writeFile(
    join(dir, 'layout/blobs/sha256', layer.digest.slice(7)),
    Buffer.alloc(layer.size),
  );
  await assert.rejects(unpackBundle(layout, digest, policy, target), { code: 'DIGEST_MISMATCH' });
  assert.deepEqual(await readdir(dir), ['layout']);
});
