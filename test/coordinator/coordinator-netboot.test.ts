// Network boot over real HTTP: which script which machine gets, and what becomes of its token. The
// scripts are run by iPXE in the *.vm.ts suites.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { request } from 'undici';
import { routes } from '../../shared/routes/table.ts';
import {
  bodyOf,
  csrOf,
  FACTS,
  type Fixture,
  heartbeatOf,
  newKey,
  raw,
  startFixture,
} from './coordinator-fixture.ts';

let fixture: Fixture;
before(async () => {
  fixture = await startFixture();
});
after(() => fixture.close());

const KERNEL = Buffer.from('kernel '.repeat(1000));
const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const image = {
  repository: 'boot',
  manifest: digestOf(Buffer.from('m')),
  kernel: digestOf(KERNEL),
  initramfs: digestOf(Buffer.from('i')),
  kernelRelease: '6.12.0',
  commandLine: 'console=ttyS0',
};

async function boot(path: string, headers = {}) {
  const response = await request(`${fixture.coordinator.bootUrl}${path}`, { headers });
  return {
    status: response.statusCode,
    headers: response.headers,
    text: await response.body.text(),
  };
}
const script = async (mac: string) => (await boot(`/boot/node.ipxe?mac=${mac}`)).text;
const tokenIn = (text: string) => /billet\.token=(\S{43})/.exec(text)?.[1];

test('a known machine whose boot is ordered gets its image, and one token at a time', async () => {
  const spec = { macs: ['52:54:00:00:00:01'], bootImage: image };
  const instance = await fixture.instance('net-1', spec);
  assert.match(
    (await boot('/boot/boot.ipxe')).text,
    /^#!ipxe\n(.|\n)*chain --replace node\.ipxe\?mac=/,
  );
  const first = await script('52-54-00-00-00-01');
  assert.match(first, new RegExp(`billet.instance=${instance}`));
  assert.match(first, new RegExp(`billet.coordinator=${fixture.coordinator.url}`));
  const second = await script('52:54:00:00:00:01');
  const [old, fresh] = [tokenIn(first) ?? '', tokenIn(second) ?? ''];
  assert.notEqual(old, fresh);

  const key = newKey();
  const enroll = (token: string) => {
    const facts = { ...FACTS, keySurvives: false };
    const body = { instance, token, csr: csrOf(key, instance), facts };
    return fixture.client().client.call(routes.enroll, { body });
  };
  await assert.rejects(enroll(old), { code: 'TOKEN_INVALID' });
  await enroll(fresh);
  const waiting = await script('52-54-00-00-00-01');
  assert.equal(tokenIn(waiting), undefined);
  assert.match(waiting, new RegExp(`billet instance boot ${instance}[^]*sleep 10`));
  await fixture.admin.call(routes.orderBoot, { params: { id: instance }, body: {} });
  assert.ok(tokenIn(await script('52-54-00-00-00-01')));
});

test('a machine that may still have its key boots without a token, until it is revoked', async () => {
  const spec = { macs: ['52:54:00:00:00:02'], bootImage: image };
  const node = await fixture.node('net-2', spec);
  const text = await script('52-54-00-00-00-02');
  assert.match(text, new RegExp(`billet.instance=${node.id}`));
  assert.equal(tokenIn(text), undefined);
  const params = { id: node.id };
  const { certificate } = bodyOf(await fixture.admin.call(routes.getInstance, { params }));
  assert.ok(certificate);
  await fixture.admin.call(routes.revokeCertificate, { params: { serial: certificate.serial } });
  assert.match(await script('52-54-00-00-00-02'), /no boot of node net-2/);
});

test('a boot that a surviving key made takes the unused token away', async () => {
  const node = await fixture.node('net-3', { macs: ['52:54:00:00:00:03'], bootImage: image });
  const params = { id: node.id };
  await fixture.admin.call(routes.orderBoot, { params, body: {} });
  const token = tokenIn(await script('52-54-00-00-00-03')) ?? '';
  await node.client.call(routes.heartbeat, { body: heartbeatOf() });
  const body = { instance: node.id, token, csr: csrOf(newKey(), node.id), facts: FACTS };
  const late = fixture.client().client.call(routes.enroll, { body });
  await assert.rejects(late, { code: 'TOKEN_INVALID' });
  assert.equal(bodyOf(await fixture.admin.call(routes.getInstance, { params })).bootOrdered, false);
});

test('an unknown machine waits, is told of once, and its name runs nothing', async () => {
  const odd = encodeURIComponent('52:54:00:00:00:77\nshell');
  assert.doesNotMatch((await boot(`/boot/node.ipxe?mac=${odd}`)).text, /^shell/m);
  for (let at = 0; at < 3; at += 1) assert.match(await script('52-54-00-00-00-66'), /sleep 10/);
  const { text } = await raw(fixture, '/v1/events?subject=machine/52-54-00-00-00-66', {
    headers: { authorization: `Bearer ${fixture.credential}` },
  });
  assert.equal(text.match(/machine\.unknown/g)?.length, 1);
});

test('a machine is known by its serial or asset tag too, as iPXE sends them', async () => {
  const uuid = '5f0c3a52-8a3e-4d4b-9a70-0d1f0b1150a2';
  const specs = {
    serial: { serial: 'CZ+31 A/7', bootImage: image },
    tag: { assetTag: 'Rack 7:3', bootImage: image },
    uuid: { dmiUuid: uuid, bootImage: image },
  };
  for (const [name, spec] of Object.entries(specs)) await fixture.instance(`known-${name}`, spec);
  const asked = async (query: string) =>
    /booting (\S+)|(several nodes.*)|(no node is registered with.*)/
      .exec((await boot(`/boot/node.ipxe?${query}`)).text)
      ?.slice(1)
      .find(Boolean);
  // Relative to an iPXE that leaves `+`, `/` and `&` as they are (its core/uri.c, URI_QUERY).
  const unset = 'mac=52-54-00-00-00-09&uuid=';
  assert.equal(await asked(`${unset}&serial=cz+31%20a/7&asset=`), 'known-serial');
  assert.equal(await asked(`${unset}&serial=None&asset=rack%20%207%3A3`), 'known-tag');
  assert.equal(await asked(`uuid=${uuid.toUpperCase()}&serial=&asset=`), 'known-uuid');
  assert.match((await asked(`uuid=${uuid}&asset=rack%207%3A3`)) ?? '', /known-uuid .*known-tag /);
  // Half of a text is not the text.
  assert.match(
    (await asked(`${unset}&serial=CZ+31%20A/7&8&asset=`)) ?? '',
    /with MAC address \S+$/,
  );
  assert.match((await asked('serial=Default%20string')) ?? '', /with nothing that tells it/);
});

test('a node that wants a person in each case gets no token: its machine asks to be claimed', async () => {
  const spec = { serial: 'CA-7', bootImage: image, claimBy: 'person' };
  const instance = await fixture.instance('careful', spec);
  const { text } = await boot('/boot/node.ipxe?serial=CA-7');
  assert.match(text, new RegExp(`billet.instance=${instance}`));
  assert.equal(tokenIn(text), undefined);
});

test('images are streamed with ranges, and nothing else of the registry is', async () => {
  const authorization = `Bearer ${fixture.credential}`;
  const push = async (bytes: Buffer) => {
    const path = `/v2/boot/blobs/uploads/?digest=${digestOf(bytes)}`;
    const headers = { authorization, 'content-type': 'application/octet-stream' };
    assert.equal((await raw(fixture, path, { method: 'POST', headers, body: bytes })).status, 201);
  };
  const secret = Buffer.from('a module, not a boot image');
  await push(KERNEL);
  await push(secret);
  await fixture.instance('net-4', { bootImage: image });
  const path = (bytes: Buffer) => `/boot/images/${digestOf(bytes).replace(':', '-')}?node=net-4`;
  const whole = await boot(path(KERNEL));
  assert.deepEqual(
    [whole.status, whole.headers['content-length'], whole.text],
    [200, String(KERNEL.length), String(KERNEL)],
  );
  assert.ok(whole.headers.etag);
  const part = await boot(path(KERNEL), { range: 'bytes=0-5' });
  assert.deepEqual([part.status, part.text], [206, 'kernel']);
  for (const wrong of [path(secret), '/boot/../v2/', '/v2/', '/v1/ca'])
    assert.equal((await boot(wrong)).status, 404, wrong);
});
