import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Desired } from '#shared/schema/desired.ts';
import { ModuleLabel } from '#shared/schema/module.ts';
import type { SettingsFile } from '../reconcile/settings-files.ts';
import { moduleSettings, renderRoot } from './render.ts';

const desired = (settings: object, modules: object[] = []) =>
  Desired.parse({
    format: 1,
    history: 'h',
    instance: 'i-0123456789abcdef',
    node: 'web-1',
    generation: 1,
    bootImage: null,
    modules,
    systemImage: null,
    settings,
  });

const text = (files: readonly SettingsFile[], path: string): string | undefined => {
  const file = files.find((each) => each.path === path);
  return file === undefined ? undefined : 'linkTo' in file ? file.linkTo : file.content;
};

test('settings become files, and what they leave out has an answer', () => {
  const files = renderRoot({
    desired: desired({
      hostname: 'db',
      timezone: 'Europe/Berlin',
      dns: ['192.0.2.1', '2001:db8::1'],
      sshKeys: ['ssh-ed25519 AAAA a person'],
    }),
    networkFiles: [{ path: '/etc/systemd/network/10-billet-x.network', content: 'x', mode: 0o644 }],
    dns: ['198.51.100.1'],
  });
  assert.equal(text(files, '/etc/hostname'), 'db\n');
  assert.equal(text(files, '/etc/localtime'), '/usr/share/zoneinfo/Europe/Berlin');
  assert.equal(text(files, '/etc/resolv.conf'), 'nameserver 192.0.2.1\nnameserver 2001:db8::1\n');
  const keys = files.find(({ path }) => path === '/root/.ssh/authorized_keys');
  assert.deepEqual(keys, {
    path: '/root/.ssh/authorized_keys',
    content: 'ssh-ed25519 AAAA a person\n',
    mode: 0o600,
  });
  assert.equal(text(files, '/etc/systemd/network/10-billet-x.network'), 'x');

  const bare = renderRoot({ desired: desired({}), networkFiles: [], dns: ['198.51.100.1'] });
  assert.equal(text(bare, '/etc/hostname'), 'web-1\n');
  assert.equal(text(bare, '/etc/resolv.conf'), 'nameserver 198.51.100.1\n');
  assert.equal(text(bare, '/root/.ssh/authorized_keys'), undefined);
});

test('the machine id is a valid one, and stays in all boots of an instance', () => {
  const [one, two] = [{}, { hostname: 'other' }].map((settings) =>
    text(renderRoot({ desired: desired(settings), networkFiles: [], dns: [] }), '/etc/machine-id'),
  );
  assert.match(one ?? '', /^[0-9a-f]{32}\n$/);
  assert.equal(one, two);
});

test('settings of a module have to fit the schema of its signed label', () => {
  const label = (settingsSchema?: object) =>
    ModuleLabel.parse({
      ...{ format: 1, name: 'base', version: '1.0.0', sequence: 1, kind: 'system' },
      ...(settingsSchema ? { settingsSchema } : {}),
    });
  const schema = {
    type: 'object',
    properties: { port: { type: 'integer', minimum: 1 } },
    required: ['port'],
    additionalProperties: false,
  };
  const wants = (values: object) => desired({ modules: { base: values } });
  const good = moduleSettings(wants({ port: 80 }), [label(schema)]);
  assert.deepEqual([...good], [['base', { port: 80 }]]);
  for (const [values, labels] of [
    [{ port: 0 }, [label(schema)]],
    [{ port: 80, other: 1 }, [label(schema)]],
    [{ port: 80 }, [label()]],
    [{ port: 80 }, []],
  ] as const)
    assert.throws(() => moduleSettings(wants(values), labels), { code: 'CONFIG_INVALID' });
});
