import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openLayout } from '#shared/artifact/oci/layout.ts';
import { MEDIA } from '#shared/artifact/oci/media-types.ts';
import { sha256 } from '#shared/digest.ts';
import { LABEL_FSVERITY, LABEL_MODULE } from '#shared/schema/module.ts';
import { testIo } from '../testing.ts';
import { readBootImage } from './boot-artifact.ts';
import { readBootFiles } from './boot-files.ts';
import { parseLocalReference } from './local-reference.ts';
import { readModuleRef } from './module-ref.ts';
import { pushBootImage } from './push-boot-image.ts';

const IMAGE = sha256('the composefs image');

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-artifact-'));
  t.after(() => rm(dir, { recursive: true }));
  return dir;
}

async function bootFolder(t: TestContext, release = '6.12.0-amd64'): Promise<string> {
  const dir = await folder(t);
  await writeFile(join(dir, 'kernel'), 'a kernel');
  await writeFile(join(dir, 'initramfs'), 'an initramfs');
  await writeFile(join(dir, 'release'), `${release}\n`);
  return dir;
}

test('a boot image that was pushed is read back as what it was', async (t) => {
  const dir = await bootFolder(t);
  const layout = await openLayout(await folder(t), { create: true });
  const files = await readBootFiles(dir, 'console=ttyS0');
  for (const attempt of [1, 2]) {
    const { io, stderr } = testIo();
    await pushBootImage(io, layout, dir, files, 'stable');
    assert.match(stderr(), attempt === 1 ? /kernel: 8 B pushed/ : /kernel: is there already/);
  }
  const image = await readBootImage(layout, 'boot', 'stable');
  assert.equal(image.kernel, sha256('a kernel'));
  assert.equal(image.initramfs, sha256('an initramfs'));
  assert.equal(image.kernelRelease, '6.12.0-amd64');
  assert.equal(image.commandLine, 'console=ttyS0');
  assert.equal(image.manifest, (await layout.resolve('stable'))?.digest);
});

test('a folder without its files, and a release that is none, are refused by name', async (t) => {
  const dir = await bootFolder(t);
  await rm(join(dir, 'initramfs'));
  await assert.rejects(readBootFiles(dir, ''), { code: 'ARGUMENT_INVALID', message: /initramfs/ });
  const odd = await bootFolder(t, 'not a release');
  await assert.rejects(readBootFiles(odd, ''), { code: 'ARGUMENT_INVALID' });
  const dirWithFiles = await bootFolder(t);
  await assert.rejects(readBootFiles(dirWithFiles, 'a\nb'), { code: 'ARGUMENT_INVALID' });
});

async function moduleLayout(t: TestContext, labels: Record<string, string>) {
  const layout = await openLayout(await folder(t), { create: true });
  const put = async (text: string, mediaType: string) => {
    const bytes = Buffer.from(text);
    const descriptor = { mediaType, digest: sha256(bytes), size: bytes.length };
    await layout.putBlob(descriptor, async function* () {
      yield bytes;
    });
    return descriptor;
  };
  const layer = await put('a layer', MEDIA.layerTar);
  const config = await put(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      config: { Labels: labels },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    }),
    MEDIA.config,
  );
  const manifest = { schemaVersion: 2, mediaType: MEDIA.manifest, config, layers: [layer] };
  await layout.putManifest(Buffer.from(JSON.stringify(manifest)), MEDIA.manifest, 'stable');
  return layout;
}

test('a tag of a sealed module is pinned to its manifest and its image', async (t) => {
  const layout = await moduleLayout(t, {
    [LABEL_FSVERITY]: IMAGE.slice('sha256:'.length),
    [LABEL_MODULE]: JSON.stringify({
      format: 1,
      name: 'base',
      version: '1.2.3',
      sequence: 4,
      kind: 'system',
    }),
  });
  assert.deepEqual(await readModuleRef(layout, 'team/base', 'stable'), {
    name: 'base',
    kind: 'system',
    version: '1.2.3',
    repository: 'team/base',
    manifest: (await layout.resolve('stable'))?.digest,
    image: IMAGE,
  });
  await assert.rejects(readModuleRef(layout, 'team/base', 'next'), { code: 'NOT_FOUND' });
});

test('an image without labels is no module, and no boot image either', async (t) => {
  const layout = await moduleLayout(t, {});
  await assert.rejects(readModuleRef(layout, 'base', 'stable'), { code: 'MODULE_INVALID' });
  await assert.rejects(readBootImage(layout, 'base', 'stable'), {
    code: 'OCI_INVALID',
    message: 'base:stable is no boot image',
  });
});

test('a reference is a repository with a tag, a digest or latest', () => {
  const { repository, reference } = parseLocalReference(`team/base@${IMAGE}`, '--module');
  assert.deepEqual([repository, reference], ['team/base', IMAGE]);
  assert.equal(parseLocalReference('base', '--module').reference, 'latest');
  assert.equal(parseLocalReference('base:1.2', '--module').reference, '1.2');
  for (const wrong of ['', 'Base', 'base:', 'base@sha256:12', 'host:5000/base', '../x', 'a b:c'])
    assert.throws(
      () => parseLocalReference(wrong, '--module'),
      { code: 'ARGUMENT_INVALID' },
      wrong,
    );
});
