// What the strategies of all clouds have in common: strictness, silence about secrets, short limits, no
// proxy. Against the services of identity-metadata-fixture.ts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getGlobalDispatcher, ProxyAgent, setGlobalDispatcher } from 'undici';
import { systemClock } from '../../shared/clock.ts';
import { DMI, discover, ec2, fakeService, USER_DATA, WHOLE } from './identity-metadata-fixture.ts';

test('user data is read as strictly as the file: unknown fields by name, and no token in messages', async (t) => {
  const serve = async (text: string) =>
    discover(t, DMI.ec2, { ec2: (await fakeService(t, ec2({ '/latest/user-data': text }))).url });
  const secret = 'S'.repeat(43);
  for (const [text, message] of [
    [JSON.stringify({ ...WHOLE, tokne: secret }), /tokne/],
    [`{"token": "${secret}", }`, /EC2 user data: it is not JSON/],
    [JSON.stringify({ ...WHOLE, token: `${secret}!` }), /token is not valid/],
    [JSON.stringify({ coordinator: WHOLE.coordinator, token: secret }), /ca is missing/],
  ] as const)
    await assert.rejects(serve(text), (error: Error & { code: string; hint: string }) => {
      assert.equal(error.code, 'CONFIG_INVALID');
      assert.match(error.message, message);
      assert.ok(error.hint);
      const told = [error, error.cause].map((each) => `${each}${JSON.stringify(each)}`).join();
      assert.ok(!told.includes(secret.slice(0, 8)), told);
      return true;
    });
  for (const text of ['#cloud-config\n{}', 'Content-Type: multipart/mixed\n', '\u001f\u008b', ''])
    await assert.rejects(serve(text), { code: 'IDENTITY_MISSING' });
});

test('bare metal asks no service, another cloud asks its own, and the command line comes first', async (t) => {
  const service = await fakeService(t, ec2({ '/latest/user-data': USER_DATA }));
  const urls = { ec2: service.url, gce: service.url, azure: service.url, openstack: service.url };
  const begin = systemClock.monotonic();
  await assert.rejects(discover(t, { sys_vendor: 'Dell Inc.' }, urls), {
    code: 'IDENTITY_MISSING',
  });
  assert.ok(systemClock.monotonic() - begin < 500);
  const words = Object.entries({ ...WHOLE, token: 'C'.repeat(43) });
  const line = words.map(([key, value]) => `billet.${key}=${value}`).join(' ');
  const found = await discover(t, DMI.ec2, urls, { 'proc/cmdline': line });
  assert.equal(found.source, 'cmdline');
  assert.deepEqual(service.log, []);
});

test('a service that never answers, redirects or floods is METADATA_FAILED in seconds', async (t) => {
  const begin = systemClock.monotonic();
  const silent = await fakeService(t, () => null);
  const elsewhere = await fakeService(t, () => ({
    status: 302,
    body: '',
    headers: { location: `${silent.url}/openstack/latest/meta_data.json` },
  }));
  const flood = await fakeService(t, () => ({ status: 200, body: 'x'.repeat(300 * 1024) }));
  const fails = (url: string, message: RegExp) =>
    assert.rejects(discover(t, DMI.openstack, { openstack: url }), {
      code: 'METADATA_FAILED',
      message,
    });
  await Promise.all([
    fails(silent.url, /no answer in 3 s/),
    fails(elsewhere.url, /answered 302/),
    fails(flood.url, /over 262144 bytes/),
    fails('http://127.0.0.1:1', /ECONNREFUSED/),
  ]);
  assert.ok(systemClock.monotonic() - begin < 8_000);
});

test('no proxy is used, even where it is the default of the process', async (t) => {
  const before = getGlobalDispatcher();
  const proxy = await fakeService(t, () => ({ status: 200, body: 'from the proxy' }));
  const agent = new ProxyAgent(proxy.url);
  setGlobalDispatcher(agent);
  t.after(async () => {
    setGlobalDispatcher(before);
    await agent.close();
  });
  const service = await fakeService(t, ec2({ '/latest/user-data': USER_DATA }));
  assert.equal((await discover(t, DMI.ec2, { ec2: service.url })).source, 'ec2');
  assert.deepEqual(proxy.log, []);
});
