// skopeo, oras and umoci on the coordinator's own registry, as a user would: logged in once, over TLS,
// with the coordinator's CA in a folder.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MEDIA } from '../../shared/artifact/oci/media-types.ts';
import { sha256 } from '../../shared/digest.ts';
import {
  descriptorOf,
  imageIn,
  putManifest,
  type RegistryFixture,
  startRegistryFixture,
} from './registry-fixture.ts';

let registry: RegistryFixture;
const at = (...parts: string[]) => join(registry.dir, ...parts);
const ref = (name: string) => `${registry.host}/${name}`;
const docker = (name: string) => `docker://${ref(name)}`;
const referrersOf = async (name: string, subject: string, query = '') => {
  const { bytes } = await registry.ask('GET', `/v2/${name}/referrers/${subject}${query}`);
  const { manifests } = JSON.parse(bytes.toString()) as { manifests: { digest: string }[] };
  return manifests.map(({ digest }) => digest);
};

before(async () => {
  registry = await startRegistryFixture();
  await registry.login('skopeo');
  await registry.login('oras');
});
after(() => registry.close());

test('a wrong password is refused at login, by both tools, with what to do about it', async () => {
  await assert.rejects(registry.login('skopeo', 'wrong'), /invalid username\/password/);
  await assert.rejects(registry.login('oras', 'wrong'), /billet credential create/);
  await registry.login('skopeo');
  await registry.login('oras');
});

test('umoci builds, skopeo pushes and pulls, umoci unpacks: the same files, and the same bytes', async () => {
  await registry.umoci('init', '--layout', at('layout'));
  await registry.umoci('new', '--image', `${at('layout')}:v1`);
  await mkdir(at('files/etc'), { recursive: true });
  await writeFile(at('files/etc/motd'), 'hello\n');
  await writeFile(at('files/large'), randomBytes(3_000_000));
  for (const path of ['etc', 'large'])
    await registry.umoci(
      'insert',
      '--rootless',
      '--image',
      `${at('layout')}:v1`,
      at('files', path),
      `/${path}`,
    );
  await registry.skopeo(
    'copy',
    '--preserve-digests',
    `oci:${at('layout')}:v1`,
    docker('tools/web:v1'),
  );
  await registry.skopeo(
    'copy',
    '--preserve-digests',
    docker('tools/web:v1'),
    `oci:${at('back')}:v1`,
  );
  await registry.umoci('unpack', '--rootless', '--image', `${at('back')}:v1`, at('bundle'));
  for (const path of ['etc/motd', 'large'])
    assert.deepEqual(await readFile(at('bundle/rootfs', path)), await readFile(at('files', path)));
  const inspected = JSON.parse(await registry.skopeo('inspect', docker('tools/web:v1')));
  const raw = await registry.skopeo('inspect', '--raw', docker('tools/web:v1'));
  assert.equal(inspected.Digest, sha256(raw));
  // What the coordinator has on disk is a layout of its own right.
  const onDisk = join(registry.fixture.stateDir, 'registry/repositories/tools+web');
  assert.match(await registry.umoci('ls', '--layout', onDisk), /^v1$/m);
});

test('skopeo copies between repositories by mounting, lists tags, and deletes', async () => {
  for (const tag of ['a', 'b'])
    await registry.skopeo('copy', `oci:${at('layout')}:v1`, docker(`tools/copied:${tag}`));
  const listed = JSON.parse(await registry.skopeo('list-tags', docker('tools/copied')));
  assert.deepEqual(listed.Tags, ['a', 'b']);
  await registry.skopeo('copy', docker('tools/copied:a'), docker('tools/again:a'));
  // skopeo deletes what the tag names: the other tag of the same manifest goes with it.
  await registry.skopeo('delete', docker('tools/copied:a'));
  await assert.rejects(
    registry.skopeo('inspect', docker('tools/copied:b')),
    /manifest unknown|no manifest/,
  );
  await registry.skopeo('inspect', docker('tools/again:a'));
});

test('oras pushes artifacts, attaches to them, discovers by type, and deletes what it attached', async () => {
  await writeFile(at('data.bin'), randomBytes(2_000_000));
  await writeFile(at('sbom.json'), '{"sbom":1}');
  const type = (name: string) => ['--artifact-type', `application/vnd.test.${name}`];
  await registry.oras('push', ref('tools/art:v1'), ...type('app'), 'data.bin');
  for (const name of ['sbom', 'note'])
    await registry.oras('attach', ref('tools/art:v1'), ...type(name), 'sbom.json');
  const discover = async (...more: string[]) =>
    JSON.parse(await registry.oras('discover', '--format', 'json', ref('tools/art:v1'), ...more))
      .manifests as { artifactType: string; digest: string }[];
  assert.deepEqual(
    (await discover()).map(({ artifactType }) => artifactType),
    ['application/vnd.test.sbom', 'application/vnd.test.note'],
  );
  const [note] = await discover(...type('note'));
  assert.equal((await discover(...type('other'))).length, 0);
  await registry.oras('manifest', 'delete', '--force', ref(`tools/art@${note?.digest}`));
  assert.equal((await discover()).length, 1);
  await registry.oras('pull', '--output', at('pulled'), ref('tools/art:v1'));
  assert.deepEqual(await readFile(at('pulled/data.bin')), await readFile(at('data.bin')));
  await registry.oras('tag', ref('tools/art:v1'), 'v2', 'latest');
  assert.deepEqual((await registry.oras('repo', 'tags', ref('tools/art'))).trim().split('\n'), [
    'latest',
    'v1',
    'v2',
  ]);
  assert.match(await registry.oras('repo', 'ls', registry.host), /^tools\/art$/m);
});

test('oras copies an artifact with all that refers to it to another repository', async () => {
  const subject = (await registry.oras('resolve', ref('tools/art:v1'))).trim();
  const login = ['--from', '--to'].flatMap((side) => [
    `${side}-ca-file`,
    at('certs/ca.crt'),
    `${side}-registry-config`,
    at('auth.json'),
  ]);
  await registry.orasAlone('cp', '-r', ...login, ref('tools/art:v1'), ref('tools/moved:v1'));
  assert.deepEqual(
    await referrersOf('tools/moved', subject),
    await referrersOf('tools/art', subject),
  );
});

test('oras pushes and deletes blobs; one that a manifest lists is kept', async () => {
  await registry.oras('blob', 'push', ref('tools/art'), 'sbom.json');
  const loose = randomBytes(50);
  await writeFile(at('loose'), loose);
  await registry.oras('blob', 'push', ref('tools/art'), 'loose');
  const remove = (digest: string) =>
    registry.oras('blob', 'delete', '--force', ref(`tools/art@${digest}`));
  await assert.rejects(remove(sha256('{"sbom":1}')), /unsupported.*first/is);
  await remove(sha256(loose));
  await assert.rejects(
    registry.oras('blob', 'fetch', '--output', '-', ref(`tools/art@${sha256(loose)}`)),
    /not found/,
  );
});

test('an old client that knows fallback tags only is honoured: attached, found and deleted', async () => {
  const old = ['--distribution-spec', 'v1.1-referrers-tag'];
  const type = ['--artifact-type', 'application/vnd.test.old'];
  const subject = (await registry.oras('resolve', ref('tools/art:v1'))).trim();
  const earlier = await referrersOf('tools/art', subject);
  await registry.oras('attach', ...old, ref('tools/art:v1'), ...type, 'sbom.json');
  const tags = JSON.parse(await registry.skopeo('list-tags', docker('tools/art'))).Tags as string[];
  assert.ok(tags.includes(subject.replace(':', '-')));
  const [added, ...more] = (await referrersOf('tools/art', subject)).filter(
    (each) => !earlier.includes(each),
  );
  assert.deepEqual([typeof added, more], ['string', []], 'listed once, though named in two places');
  await registry.oras('manifest', 'delete', ...old, '--force', ref(`tools/art@${added}`));
  assert.deepEqual(await referrersOf('tools/art', subject), earlier);
});

test('an index under the fallback tag counts, also for artifacts that name no subject of their own', async () => {
  const image = await imageIn(registry, 'tools/old', Buffer.from('image'));
  await putManifest(registry, 'tools/old', 'v1', image);
  const artifact = await imageIn(registry, 'tools/old', Buffer.from('signature'));
  await putManifest(registry, 'tools/old', sha256(artifact), artifact);
  const entry = { ...descriptorOf(artifact, MEDIA.manifest), artifactType: 'a/signature' };
  const index = { schemaVersion: 2, mediaType: MEDIA.index, manifests: [entry] };
  const tag = sha256(image).replace(':', '-');
  await putManifest(registry, 'tools/old', tag, Buffer.from(JSON.stringify(index)), MEDIA.index);
  assert.deepEqual(await referrersOf('tools/old', sha256(image), '?artifactType=a/signature'), [
    sha256(artifact),
  ]);
  assert.deepEqual(await referrersOf('tools/old', sha256(image), '?artifactType=a/other'), []);
  const gone = await registry.ask('DELETE', `/v2/tools/old/manifests/${sha256(artifact)}`);
  assert.equal(gone.status, 202);
  assert.deepEqual(await referrersOf('tools/old', sha256(image)), [], 'what is gone is not listed');
});

test('a viewer pulls and may not push; a node pulls with its certificate alone', async () => {
  await registry.login('skopeo', await registry.credential('viewer'));
  await registry.skopeo('inspect', docker('tools/web:v1'));
  await assert.rejects(
    registry.skopeo('copy', `oci:${at('layout')}:v1`, docker('tools/denied:v1')),
    /denied|may only pull/,
  );
  const node = await registry.fixture.node('puller');
  await writeFile(at('certs/client.cert'), node.certificate);
  await writeFile(at('certs/client.key'), node.key.pem);
  await writeFile(at('auth.json'), '{}');
  await registry.skopeo('inspect', docker('tools/web:v1'));
  await assert.rejects(
    registry.skopeo('copy', `oci:${at('layout')}:v1`, docker('tools/denied:v1')),
    /denied|may only pull/,
  );
});
