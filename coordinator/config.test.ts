import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig, parseConfig, splitListen } from './config.ts';
import { advertisedUrl, serverNames } from './names.ts';

test('every unknown field of the configuration is named, and so is what does not fit', () => {
  assert.throws(
    () => parseConfig({ colour: 1, shape: 2, listen: 'nowhere' }),
    (error: Error) => {
      assert.match(error.message, /unknown fields colour, shape/);
      assert.match(error.message, /listen: host:port/);
      return (error as { code?: string }).code === 'CONFIG_INVALID';
    },
  );
});

test('flags win over the file, and the file over defaults', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'billet-config-'));
  try {
    const file = join(dir, 'coordinator.json');
    await writeFile(file, JSON.stringify({ listen: '127.0.0.1:1', trustDomain: 'file.test' }));
    const flags = ['--config', file, '--listen', '[::1]:2', '--name', 'a.test', '--name', '::1'];
    const config = await loadConfig([...flags, '--boot-listen', 'none']);
    assert.deepEqual(
      [config.listen, config.trustDomain, config.names, config.bootListen],
      ['[::1]:2', 'file.test', ['a.test', '::1'], null],
    );
    assert.deepEqual(splitListen(config.listen), { host: '::1', port: 2 });
    await assert.rejects(loadConfig(['--colour']), { code: 'ARGUMENT_INVALID' });
    await assert.rejects(loadConfig(['--config', join(dir, 'no')]), { code: 'CONFIG_INVALID' });
    await writeFile(file, '[1]');
    await assert.rejects(loadConfig(['--config', file]), { code: 'CONFIG_INVALID' });
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('nodes are told a URL that the certificate bears', () => {
  const listener = { host: '0.0.0.0', port: 8443 };
  const named = parseConfig({ names: ['c.test'], listen: '0.0.0.0:8443' });
  assert.equal(advertisedUrl(named, 'https', listener), 'https://c.test:8443');
  const given = parseConfig({ url: 'https://10.0.2.2:9/' });
  assert.equal(advertisedUrl(given, 'https', listener), 'https://10.0.2.2:9');
  assert.ok(serverNames(given, '0.0.0.0').includes('10.0.2.2'));
  assert.ok(!serverNames(given, '0.0.0.0').includes('0.0.0.0'));
});
