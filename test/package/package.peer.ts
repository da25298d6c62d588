// The Debian packages in a trixie system without a running systemd: installing, changing and purging
// them, and that the system is then as it was.

import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { afterEach, before, test } from 'node:test';
import type { OverlayRoot } from './overlay-root.ts';
import {
  debianRoot,
  freshSystem,
  install,
  must,
  type PackageFiles,
  packageFiles,
} from './package-fixture.ts';

const signal = AbortSignal.timeout(9 * 60_000);

let packages: PackageFiles;
let system: OverlayRoot | null = null;

before(
  async () => {
    packages = await packageFiles(signal);
    await debianRoot('package-system', signal);
  },
  { timeout: 540_000 },
);
afterEach(() => {
  system?.close();
  system = null;
});

async function start(files: readonly string[]): Promise<OverlayRoot> {
  system = await freshSystem('package-system', files, signal);
  return system;
}

/** What apt, dpkg and their tools keep for themselves. */
const THEIRS =
  /^-?\/(packages|var\/(log|cache|lib\/(apt|dpkg|systemd\/deb-systemd-helper-[a-z-]+))|etc\/\.pwd\.lock)(\/|$)/;
const changes = (root: OverlayRoot) => root.changes().filter((path) => !THEIRS.test(path));

test('all packages of one machine go together, run, and are what dpkg believes them to be', {
  timeout: 300_000,
}, async () => {
  const root = await start(Object.values(packages.current));
  const said = install(root, Object.values(packages.current));
  assert.match(said, /admin credential in \/var\/lib\/billet\/coordinator\/admin\.json/);
  assert.match(said, /not enrolled yet/);
  assert.equal(
    must(root, 'dpkg --verify billet billet-agent billet-coordinator billet-runtime'),
    '',
  );
  assert.match(must(root, 'billet version'), /0\.1\.0/);
  assert.match(must(root, 'billet coordinator --help'), /--listen HOST:PORT/);
  const status = root.run('billet agent status');
  assert.match(status.output, /UNAVAILABLE/);
  assert.match(
    must(root, 'getent passwd billet'),
    /:\/var\/lib\/billet\/coordinator:\/usr\/sbin\/nologin/,
  );
  must(root, 'systemctl --root=/ is-enabled billet-agent.service billet-coordinator.service');
  const units = 'billet-agent.service billet-coordinator.service';
  assert.equal(
    must(root, `cd /usr/lib/systemd/system && systemd-analyze verify --man=no ${units}`),
    '',
  );
});

test('remove keeps configuration and state; purge leaves files and users as they were', {
  timeout: 300_000,
}, async () => {
  const files = [packages.current['billet-runtime'], packages.current['billet-agent']];
  const root = await start(files);
  const users = () =>
    must(root, 'cat /etc/passwd /etc/group /etc/shadow; ls -A /etc/systemd/system');
  const before = users();
  install(root, files);
  must(root, 'mkdir -p /var/lib/billet/store /var/lib/billet-db-data');
  must(root, 'echo key > /var/lib/billet/key.pem; echo row > /var/lib/billet-db-data/table');
  must(root, 'echo {} > /etc/billet/trust-policy.json');
  must(root, 'apt-get remove -y billet-agent');
  assert.equal(
    must(root, 'cat /var/lib/billet/key.pem /etc/billet/trust-policy.json'),
    'key\n{}\n',
  );
  assert.ok(changes(root).includes('/etc/billet/agent.json'));
  assert.ok(!changes(root).some((path) => path.endsWith('agent.mjs')));
  const said = must(root, 'apt-get purge -y billet-agent billet-runtime');
  assert.match(said, /\/var\/lib\/billet-db-data stays/, 'what services have written is not ours');
  assert.deepEqual(changes(root), ['/var/lib/billet-db-data/table']);
  assert.equal(users(), before);
  assert.equal(
    must(root, 'ls -d /etc/billet /run/billet /var/lib/billet 2>&1 || true').match(/No such/g)
      ?.length,
    3,
  );
});

test('a purge of the coordinator takes its state, and keeps its user and the agent beside it', {
  timeout: 300_000,
}, async () => {
  const root = await start(Object.values(packages.current));
  install(root, Object.values(packages.current));
  must(
    root,
    'mkdir /var/lib/billet/coordinator; echo s > /var/lib/billet/coordinator/store.sqlite',
  );
  must(root, 'echo key > /var/lib/billet/key.pem');
  must(root, 'apt-get purge -y billet-coordinator');
  assert.equal(
    must(root, 'ls /var/lib/billet /etc/billet'),
    '/etc/billet:\nagent.json\n\n/var/lib/billet:\nkey.pem\n',
  );
  assert.match(must(root, 'getent passwd billet'), /nologin/);
  must(root, 'apt-get purge -y billet-agent billet billet-runtime');
  assert.deepEqual(
    changes(root).filter((path) => !/^\/etc\/(passwd|group|g?shadow)-?$/.test(path)),
    [],
  );
});

test('upgrades and downgrades keep a changed configuration, and what somebody disabled stays so', {
  timeout: 300_000,
}, async () => {
  const { 'billet-agent': newer, 'billet-runtime': runtime } = packages.current;
  const older = packages.olderAgent;
  const root = await start([runtime, newer, older]);
  install(root, [runtime, older]);
  const config = '{ "runDir": "/run/other", } // mine';
  must(root, `echo '${config}' > /etc/billet/agent.json; systemctl --root=/ disable billet-agent`);
  for (const file of [newer, older]) {
    install(root, [file], '--allow-downgrades');
    assert.equal(must(root, 'cat /etc/billet/agent.json').trim(), config);
    assert.match(
      must(root, 'dpkg-query --show billet-agent'),
      new RegExp(basename(file).split('_')[1] ?? ''),
    );
    assert.equal(root.run('systemctl --root=/ is-enabled billet-agent').output.trim(), 'disabled');
  }
  assert.match(root.run('billet-agent status').output, /\/run\/other/, 'comments and all');
});
