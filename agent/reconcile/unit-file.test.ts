import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ModuleLabel, Service } from '#shared/schema/module.ts';
import { testModule } from './testing.ts';
import { OPTIONAL_TARGETS, renderUnit } from './unit-file.ts';

const render = (service: object, targets: readonly string[] = []) => {
  const { label }: { label: ModuleLabel } = testModule('web');
  return renderUnit({
    label,
    service: Service.parse({ name: 'main', exec: ['/bin/main'], ...service }),
    root: '/run/billet/services/web/0123456789ab/root',
    settingsPath: '/run/billet/settings/web.json',
    targets: new Set(targets),
  });
};
const values = (text: string, key: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith(`${key}=`))
    .map((line) => line.slice(key.length + 1));

/** systemd.syntax(7) "Quoting" and specifiers, written from the manual and not from the renderer. */
function items(line: string): string[] {
  const found: string[] = [];
  let at = 0;
  while (at < line.length) {
    assert.equal(line[at], '"', 'every item is in double quotes');
    let item = '';
    for (at += 1; line[at] !== '"'; at += 1) {
      if (line[at] !== '\\') {
        item += line[at];
        continue;
      }
      at += 1;
      const named = { n: '\n', r: '\r', t: '\t', '\\': '\\', '"': '"' }[line[at] ?? ''];
      if (named === undefined) {
        assert.equal(line[at], 'x');
        item += String.fromCharCode(Number.parseInt(line.slice(at + 1, at + 3), 16));
        at += 2;
      } else item += named;
    }
    found.push(item.replaceAll('%%', '\0').replace(/%./g, 'SPECIFIER').replaceAll('\0', '%'));
    at += 2;
  }
  return found;
}

const hostile = fc
  .string({
    unit: fc.constantFrom(
      '%',
      '$',
      '"',
      "'",
      '\\',
      '\n',
      '\r',
      ' ',
      ';',
      '[',
      ']',
      '=',
      '#',
      'ü',
      '\x01',
      '\x7f',
      'n',
      'i',
      '😀',
    ),
  })
  .filter((text) => text.length > 0);

test('no argument or variable of a label can become anything but itself', () =>
  fc.assert(
    fc.property(fc.array(hostile, { maxLength: 4 }), hostile, (args, value) => {
      const { text } = render({ exec: ['/bin/main', ...args], environment: { A: value } });
      assert.deepEqual(items(values(text, 'ExecStart')[0] ?? ''), [':/bin/main', ...args]);
      assert.deepEqual(items(values(text, 'Environment')[0] ?? ''), [`A=${value}`]);
      const plain = render({ exec: ['/bin/main'], environment: { A: 'x' } }).text;
      assert.deepEqual(text.split('\n').map(directive), plain.split('\n').map(directive));
    }),
  ));

const directive = (line: string) => line.split('=')[0];

test('a program that is no absolute path, and a NUL, are refused', () => {
  for (const exec of [
    ['bin/main'],
    ['-/bin/main'],
    ['/bin/../main'],
    ['@/bin/x'],
    ['/bin/a\0b'],
    ['/bin/a', '\0'],
  ])
    assert.throws(() => render({ exec }), { code: 'MODULE_INVALID' }, JSON.stringify(exec));
});

test('no label, whatever it asks for, gets out of the sandbox', () => {
  const all = { user: 'root', capabilities: ['CAP_CHOWN'], stateDirectory: 'a', type: 'notify' };
  for (const service of [{}, all]) {
    const { text } = render(service);
    for (const [key, value] of Object.entries({
      ...{ NoNewPrivileges: 'yes', PrivateTmp: 'yes', PrivateDevices: 'yes', PrivateMounts: 'yes' },
      ...{ ProtectSystem: 'strict', ProtectHome: 'yes', ProtectKernelModules: 'yes' },
      ...{ RestrictNamespaces: 'yes', RestrictSUIDSGID: 'yes', LockPersonality: 'yes' },
      SystemCallFilter: '@system-service',
    }))
      assert.deepEqual(values(text, key), [value], key);
  }
});

test('only named capabilities are kept', () => {
  const none = render({}).text;
  assert.deepEqual(values(none, 'CapabilityBoundingSet'), ['']);
  assert.deepEqual(values(none, 'AmbientCapabilities'), ['']);
  assert.deepEqual(values(none, 'DynamicUser'), ['yes']);
  const root = render({ user: 'root', capabilities: ['CAP_NET_BIND_SERVICE', 'CAP_CHOWN'] }).text;
  assert.deepEqual(values(root, 'CapabilityBoundingSet'), ['CAP_NET_BIND_SERVICE CAP_CHOWN']);
  assert.deepEqual(values(root, 'User'), ['root']);
});

test('files of the node are bound only where the root has a place for them', () => {
  const binds = (targets: readonly string[]) =>
    values(render({}, targets).text, 'BindReadOnlyPaths');
  assert.ok(!binds([]).includes('-/etc/resolv.conf'));
  assert.ok(binds([...OPTIONAL_TARGETS]).includes('-/etc/resolv.conf'));
});

test('systemd itself finds nothing to complain of', () => {
  const dir = mkdtempSync(join(tmpdir(), 'billet-unit-'));
  try {
    const { name, text } = render({
      exec: ['/bin/sh', '-c', 'echo "$HOME" 100% \\ ; [Service]\nUser=root'],
      environment: { A: 'a "b" %n' },
      runtimeDirectory: 'web',
      stateDirectory: 'web',
      capabilities: ['CAP_NET_BIND_SERVICE'],
      memoryMaxBytes: 2 ** 28,
      type: 'notify',
    });
    writeFileSync(join(dir, name), text);
    const { stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', join(dir, name)], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    assert.deepEqual(
      stderr.split('\n').filter((line) => line.includes(name)),
      [],
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
});
