import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { chunked, tarOf } from '#shared/artifact/composefs/tar-testing.ts';
import { packImage } from '#shared/artifact/module/pack.ts';
import { openLayout } from '#shared/artifact/oci/layout.ts';
import { billet } from '../testing.ts';

const vector = (name: string): string =>
  fileURLToPath(new URL(`../../shared/artifact/composefs/testdata/${name}`, import.meta.url));

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'billet-composefs-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const TAR = tarOf({ name: 'etc/motd', body: 'hello' }, { name: 'large', body: 'x'.repeat(5000) });

async function digestOf(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await billet(['composefs', 'digest', ...args]);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

test('the digest of a dump and of its image are those of the reference', async (t) => {
  const folder = folderFor(t);
  const expected = '653d6d17662d50c65e611152fe9dcd6985ca16351b585d10c7f559d2a2faec8c';
  assert.equal(await digestOf('--from-file', vector('mixed.dump.gz')), `sha256:${expected}`);
  const image = join(folder, 'image');
  writeFileSync(image, gunzipSync(readFileSync(vector('mixed.erofs.gz'))));
  assert.equal(await digestOf(image), `sha256:${expected}`);
});

test('a layer has one digest, plain, packed, in a layout or extracted', async (t) => {
  const folder = folderFor(t);
  const paths = [TAR, gzipSync(TAR), zstdCompressSync(TAR)].map((bytes, index) => {
    const path = join(folder, `layer-${index}`);
    writeFileSync(path, bytes);
    return path;
  });
  const layout = await openLayout(join(folder, 'layout'), { create: true });
  await packImage({ layout, tag: 'v1', tar: chunked(TAR), architecture: 'amd64', level: 1 });
  const digests = await Promise.all([...paths, layout.dir].map((path) => digestOf(path)));
  assert.equal(new Set(digests).size, 1, digests.join(' '));

  // With an entry for each directory, an extracted layer is the same tree.
  const tree = join(folder, 'tree');
  mkdirSync(tree);
  execFileSync('tar', ['-x', '-C', tree, '-f', paths[0] ?? '']);
  const again = join(folder, 'again.tar');
  execFileSync('tar', ['-c', '--format=pax', '-C', tree, '-f', again, '.']);
  assert.equal(await digestOf(tree), await digestOf(again));
});

test('an image is written whole, with its digest', async (t) => {
  const folder = folderFor(t);
  const output = join(folder, 'out.erofs');
  const { code, stdout } = await billet([
    ...['composefs', 'image', '--from-file', vector('dups.dump.gz'), '-o', output, '--json'],
  ]);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), {
    digest: 'sha256:bbb7f97b906208fa7c03f5cf98a6e238f57fdc864053947019b2eed752cf89b1',
    output,
    imageBytes: 24_576,
    objects: 1,
    objectBytes: 20_000,
  });
  assert.equal(readFileSync(output).compare(gunzipSync(readFileSync(vector('dups.erofs.gz')))), 0);
  assert.deepEqual(readdirSync(folder), ['out.erofs']);
});

test('the dump of an image is the one of the reference', async () => {
  const { stdout } = await billet(['composefs', 'dump', '--from-file', vector('xattrs.dump.gz')]);
  assert.equal(stdout, gunzipSync(readFileSync(vector('xattrs.dump.gz'))).toString('latin1'));
});

test('what cannot be read is refused with a code, and no file is left', async (t) => {
  const folder = folderFor(t);
  const path = (name: string, bytes: Uint8Array): string => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  const layout = await openLayout(join(folder, 'layout'), { create: true });
  const cases: readonly (readonly [string, string])[] = [
    [path('climbs.tar', tarOf({ name: '../x' })), 'PATH_ESCAPE'],
    [path('cut.tar.gz', gzipSync(TAR).subarray(0, 60)), 'TAR_INVALID'],
    [path('text', Buffer.from('no tar at all')), 'TAR_INVALID'],
    [
      path('image', gunzipSync(readFileSync(vector('dups.erofs.gz'))).subarray(4096)),
      'TAR_INVALID',
    ],
    [layout.dir, 'ARGUMENT_INVALID'],
    [join(folder, 'absent'), 'NOT_FOUND'],
  ];
  for (const [input, code] of cases) {
    const output = join(folder, 'out');
    const result = await billet(['composefs', 'image', input, '-o', output]);
    assert.notEqual(result.code, 0, input);
    assert.match(result.stderr, new RegExp(`code: ${code}`), input);
    assert.ok(!readdirSync(folder).some((name) => name.startsWith('out')), input);
  }
});
