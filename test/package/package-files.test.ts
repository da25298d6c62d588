// What the packages bring beside the bundles: configuration that says what is so without it, scripts,
// units.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AgentConfig } from '../../agent/config.ts';
import { Config } from '../../coordinator/config.ts';
import { PACKAGES } from '../../setup/package/packages.ts';
import { parseCommentedJson } from '../../shared/commented-json.ts';

const TREE = join(import.meta.dirname, '../..');
const DEBIAN = join(TREE, 'setup/package/debian');
const read = (name: string) => readFileSync(join(DEBIAN, name), 'utf8');

/** The fields that are commented out, put in force. */
const uncommented = (text: string): unknown =>
  parseCommentedJson(text.replace(/^(\s*)\/\/ ?(?=\s*(?:"[\w-]+":|\}))/gm, '$1'));

test('the configuration of the agent sets nothing, and its comments are the defaults', () => {
  assert.deepEqual(parseCommentedJson(read('agent.jsonc')), {});
  assert.deepEqual(uncommented(read('agent.jsonc')), AgentConfig.parse({}));
});

test('the configuration of the coordinator sets nothing, and its comments are the defaults', () => {
  assert.deepEqual(parseCommentedJson(read('coordinator.jsonc')), {});
  const { url: _, bootUrl: __, ...told } = Config.parse({});
  assert.deepEqual(uncommented(read('coordinator.jsonc')), told);
});

test('every file of a recipe is there, and no two packages bring the same path', () => {
  const paths = PACKAGES.flatMap(({ files = {}, manuals = {}, bundles = {} }) => [
    ...Object.keys(files),
    ...Object.keys(manuals),
    ...Object.keys(bundles).map((name) => `/usr/lib/billet/${name}.mjs`),
  ]);
  assert.deepEqual(paths, [...new Set(paths)]);
  for (const { name, files = {}, manuals = {}, bundles = {}, scripts = [] } of PACKAGES) {
    const sources = [...Object.values(files), ...Object.values(manuals), ...Object.values(bundles)];
    for (const source of sources) assert.ok(globSync(source, { cwd: TREE }).length === 1, source);
    for (const script of scripts) assert.ok(read(`${name}.${script}`).startsWith('#!/bin/sh\n'));
  }
});

test('the programs that units start are in the package of the unit', () => {
  for (const { files = {}, bundles = {} } of PACKAGES)
    for (const source of Object.values(files).filter((each) => each.endsWith('.service'))) {
      const unit = readFileSync(join(TREE, source), 'utf8');
      const [, entry = ''] = /^ExecStart=.*\/usr\/lib\/billet\/([a-z-]+)\.mjs/m.exec(unit) ?? [];
      assert.ok(Object.hasOwn(bundles, entry), `${source} starts ${entry}`);
    }
});

test('shellcheck finds nothing in the scripts of the packages', () => {
  const scripts = globSync('*.{postinst,prerm,postrm,sh}', { cwd: DEBIAN }).map((name) =>
    join(DEBIAN, name),
  );
  assert.ok(scripts.length >= 8);
  const { status, stdout, error } = spawnSync('shellcheck', scripts, { encoding: 'utf8' });
  assert.ok(error === undefined && status === 0, stdout);
});

test('a purge ends, and leaves nothing but the mount points, where state lies on file systems of its own', () => {
  const root = mkdtempSync(join(tmpdir(), 'billet-purge-'));
  const script = `set -e
    mount -t tmpfs none "$0/var/lib/billet"
    cd "$0/var/lib/billet"
    mkdir -p store coordinator
    mount -t tmpfs none store
    mount -t tmpfs none coordinator
    touch key.pem store/module coordinator/store.sqlite
    DPKG_ROOT="$0" sh "$1/billet-agent.postrm" purge
    test -e coordinator/store.sqlite
    DPKG_ROOT="$0" sh "$1/billet-coordinator.postrm" purge
    find . | sort`;
  try {
    mkdirSync(join(root, 'var/lib/billet'), { recursive: true });
    const argv = ['--user', '--map-root-user', '--mount', 'sh', '-c', script, root, DEBIAN];
    const { status, stdout, stderr } = spawnSync('unshare', argv, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, '.\n./coordinator\n./store\n');
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
