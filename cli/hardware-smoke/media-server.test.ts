import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { parseListen, serveMedium } from './media-server.ts';

test('an image is served to the BMC with ranges, and nothing else is', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'billet-media-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const iso = join(dir, 'billet.iso');
  writeFileSync(iso, 'iso-bytes');
  await using server = await serveMedium(iso, parseListen('127.0.0.1:0'));
  const get = async (url: string, headers = {}) => {
    const answered = Promise.withResolvers<{ status: number; body: string }>();
    request(url, { headers }, async (response) =>
      answered.resolve({ status: response.statusCode ?? 0, body: await text(response) }),
    ).end();
    return await answered.promise;
  };
  assert.deepEqual(await get(server.url), { status: 200, body: 'iso-bytes' });
  assert.deepEqual(await get(server.url, { range: 'bytes=4-8' }), { status: 206, body: 'bytes' });
  assert.equal((await get(server.url, { range: 'bytes=90-' })).status, 416);
  assert.equal((await get(new URL('/etc/passwd', server.url).href)).status, 404);
});

test('an address that no BMC could fetch from is refused, and does not listen everywhere instead', () => {
  for (const text of [
    '8099',
    ':8099',
    '0.0.0.0:8099',
    '[::]:8099',
    'host:99999',
    '::1:80',
    'a b:80',
  ])
    assert.throws(() => parseListen(text), { code: 'ARGUMENT_INVALID' }, text);
  assert.deepEqual(parseListen('[2001:db8::7]:8099'), { host: '[2001:db8::7]', port: 8099 });
  assert.deepEqual(parseListen('192.0.2.10:8099'), { host: '192.0.2.10', port: 8099 });
});
