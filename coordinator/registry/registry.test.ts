import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { copyArtifact } from '#shared/artifact/oci/copy.ts';
import { openLayout } from '#shared/artifact/oci/layout.ts';
import { putImage, startRegistry } from './testing.ts';

const run = promisify(execFile);
const skopeo = (...args: string[]) => run('skopeo', args, { timeout: 30_000 });
const copy = (...args: string[]) =>
  skopeo('copy', '--insecure-policy', '--preserve-digests', '--dest-tls-verify=false', ...args);

test('skopeo pushes, lists, copies and pulls the same bytes, signature tags included', async (t) => {
  const { root, host, open } = await startRegistry(t);
  const dir = join(root, 'layout');
  const layout = await openLayout(dir, { create: true });
  const image = await putImage(layout, randomBytes(300_000), 'v1');
  const tag = `${image.digest.replace(':', '-')}.sig`;
  await putImage(layout, Buffer.from('payload'), tag);
  for (const each of ['v1', tag]) await copy(`oci:${dir}:${each}`, `docker://${host}/a/b:${each}`);
  const { stdout } = await skopeo('list-tags', '--tls-verify=false', `docker://${host}/a/b`);
  assert.deepEqual(JSON.parse(stdout).Tags, [tag, 'v1'].sort());
  const back = join(root, 'back');
  for (const each of ['v1', tag]) {
    await copy(
      '--src-tls-verify=false',
      `docker://${host}/a/b:${each}`,
      `docker://${host}/c:${each}`,
    );
    await copy('--src-tls-verify=false', `docker://${host}/c:${each}`, `oci:${back}:${each}`);
  }
  assert.equal((await (await openLayout(back)).resolve('v1'))?.digest, image.digest);
  assert.equal((await open('c').resolve('v1'))?.digest, image.digest);
  await skopeo('delete', '--tls-verify=false', `docker://${host}/c:v1`);
  assert.equal(await open('c').resolve('v1'), null);
});

test('a repository on disk is an OCI layout that skopeo reads', async (t) => {
  const { root, open } = await startRegistry(t);
  await putImage(open('library/web'), randomBytes(1000), '1.0');
  const { stdout } = await skopeo(
    'inspect',
    '--raw',
    `oci:${join(root, 'repositories', 'library+web')}:1.0`,
  );
  assert.equal(JSON.parse(stdout).schemaVersion, 2);
});

test('our client copies images, signatures and referrers between layout and registry', async (t) => {
  const { root, open } = await startRegistry(t);
  const source = await openLayout(join(root, 'source'), { create: true });
  const image = await putImage(source, randomBytes(2_000_000), '1');
  const referrer = await putImage(source, randomBytes(10), undefined, {
    artifactType: 'application/test',
    subject: image,
  });
  const registry = open('copied', 300_000);
  const copied = await copyArtifact({ source, target: registry, reference: '1', tag: '2' });
  assert.deepEqual([copied.digest, copied.attached], [image.digest, [referrer.digest]]);
  assert.deepEqual(await registry.tags(), ['2']);
  assert.deepEqual((await registry.referrers(image.digest, 'application/test')).length, 1);
  assert.deepEqual(await registry.referrers(image.digest, 'application/other'), []);
  const back = await openLayout(join(root, 'back'), { create: true });
  await copyArtifact({ source: registry, target: back, reference: '2', tag: '3' });
  assert.equal((await back.resolve('3'))?.digest, image.digest);
  assert.equal((await back.referrers(image.digest)).length, 1);
});
