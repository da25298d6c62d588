// The packages as they are built, with Debian's own tools: the same bytes each time, lintian, and what
// the runtime depends on.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, before, test } from 'node:test';
import { sha256 } from '../../shared/digest.ts';
import type { OverlayRoot } from './overlay-root.ts';
import { build, debianRoot, freshSystem, install, must, packageFiles } from './package-fixture.ts';

const signal = AbortSignal.timeout(9 * 60_000);
let files: Awaited<ReturnType<typeof packageFiles>>['current'];
let system: OverlayRoot | null = null;

before(
  async () => {
    files = (await packageFiles(signal)).current;
    await debianRoot('package-lintian', signal);
    await debianRoot('package-system', signal);
  },
  { timeout: 540_000 },
);
afterEach(() => {
  system?.close();
  system = null;
});

test('the same sources give the same bytes', { timeout: 300_000 }, async () => {
  const out = mkdtempSync(join(tmpdir(), 'billet-packages-'));
  try {
    for (const { name, file } of await build({ out, signal })) {
      assert.equal(basename(file), basename(files[name]));
      assert.equal(sha256(readFileSync(file)), sha256(readFileSync(files[name])), name);
    }
  } finally {
    rmSync(out, { recursive: true });
  }
});

test('lintian finds neither errors nor warnings', { timeout: 300_000 }, async () => {
  system = await freshSystem('package-lintian', Object.values(files), signal);
  must(system, 'lintian --allow-root --fail-on error,warning /packages/*.deb');
});

test('the runtime depends on the packages of the libraries that its program names, and no others', {
  timeout: 300_000,
}, async () => {
  const runtime = files['billet-runtime'];
  system = await freshSystem('package-system', [runtime], signal);
  install(system, [runtime]);
  const list = must(system, 'ldd /usr/lib/billet/node');
  assert.doesNotMatch(list, /not found/);
  const libraries = [...list.matchAll(/=> (\S+) /g)].map(([, path]) => path);
  assert.ok(libraries.length >= 6, list);
  const owners = must(system, `dpkg-query --search $(realpath ${libraries.join(' ')})`);
  const needed = [
    ...new Set(
      owners
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split(':')[0]),
    ),
  ];
  const field = spawnSync('dpkg-deb', ['--field', runtime, 'Depends'], { encoding: 'utf8' });
  const depends = field.stdout.trim().split(', ');
  assert.deepEqual(depends.map((each) => each.split(' ')[0]).sort(), needed.sort());
  for (const each of depends)
    assert.match(each, /\(>= /, 'with the version that brings the symbols');
});
