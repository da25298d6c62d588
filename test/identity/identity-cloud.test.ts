// Identity from the metadata services of clouds: each test replays an example of the provider's page
// against a server that refuses what the real one refuses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  azure,
  DMI,
  discover,
  ec2,
  fakeService,
  gce,
  openstack,
  USER_DATA,
  WHOLE,
} from './identity-metadata-fixture.ts';

/** "Instance identity documents": the example of the EC2 User Guide, shortened. */
const DOCUMENT = JSON.stringify({
  devpayProductCodes: null,
  availabilityZone: 'us-west-2b',
  privateIp: '10.158.112.84',
  version: '2017-09-30',
  instanceId: 'i-1234567890abcdef0',
  instanceType: 't2.micro',
  accountId: '123456789012',
  imageId: 'ami-5fb8c835',
  architecture: 'x86_64',
  region: 'us-west-2',
});

test('EC2: a session token first (IMDSv2 example of the User Guide), then user data and document', async (t) => {
  const service = await fakeService(
    t,
    ec2({
      '/latest/user-data': USER_DATA,
      '/latest/dynamic/instance-identity/document': DOCUMENT,
    }),
  );
  assert.deepEqual(await discover(t, DMI.ec2, { ec2: service.url }), {
    identity: WHOLE,
    source: 'ec2',
    cloud: { provider: 'ec2', instance: 'i-1234567890abcdef0', zone: 'us-west-2b' },
  });
  assert.deepEqual(service.log, [
    'PUT /latest/api/token 200',
    'GET /latest/user-data 200',
    'PUT /latest/api/token 200',
    'GET /latest/dynamic/instance-identity/document 200',
  ]);
});

test('EC2: a token that is refused with 401 is replaced once, and no more', async (t) => {
  let refused = 0;
  const real = ec2({ '/latest/user-data': USER_DATA });
  const once = await fakeService(t, (request, path) => {
    if (request.method === 'GET' && refused++ === 0) return { status: 401, body: '' };
    return real(request, path);
  });
  const found = await discover(t, DMI.ec2, { ec2: once.url });
  assert.deepEqual([found.identity, found.cloud], [WHOLE, undefined]);
  const never = await fakeService(t, ec2({ '/latest/user-data': USER_DATA }, { usesOf: 0 }));
  await assert.rejects(discover(t, DMI.ec2, { ec2: never.url }), {
    code: 'METADATA_FAILED',
    message: /user-data answered 401/,
    hint: /metadata service/,
  });
  assert.equal(never.log.filter((line) => line.startsWith('PUT')).length, 2);
});

test('EC2: no user data (404) says nothing; a service that is switched off (403) is passed over', async (t) => {
  const empty = await fakeService(t, ec2({}));
  await assert.rejects(discover(t, DMI.ec2, { ec2: empty.url }), { code: 'IDENTITY_MISSING' });
  const off = await fakeService(t, () => ({ status: 403, body: '' }));
  await assert.rejects(discover(t, DMI.ec2, { ec2: off.url }), { code: 'METADATA_FAILED' });
  const file = { 'etc/billet/identity.json': USER_DATA };
  assert.equal((await discover(t, DMI.ec2, { ec2: off.url }, file)).source, 'file');
});

test('GCE: Metadata-Flavor both ways, custom metadata user-data, id and zone', async (t) => {
  const files = {
    '/computeMetadata/v1/instance/attributes/user-data': USER_DATA,
    '/computeMetadata/v1/instance/id': '5152535455565758595',
    // "Default metadata values": projects/PROJECT_NUM/zones/ZONE
    '/computeMetadata/v1/instance/zone': 'projects/123456789/zones/us-central1-a',
  };
  const service = await fakeService(t, gce(files));
  assert.deepEqual(await discover(t, DMI.gce, { gce: service.url }), {
    identity: WHOLE,
    source: 'gce',
    cloud: { provider: 'gce', instance: '5152535455565758595', zone: 'us-central1-a' },
  });
  const plain = await fakeService(t, () => ({ status: 200, body: USER_DATA }));
  await assert.rejects(discover(t, DMI.gce, { gce: plain.url }), {
    code: 'METADATA_FAILED',
    message: /without Metadata-Flavor/,
  });
  const none = await fakeService(t, gce({}));
  await assert.rejects(discover(t, DMI.gce, { gce: none.url }), { code: 'IDENTITY_MISSING' });
});

test('Azure: Metadata: true, api-version, and user data in base64 ("User data", sample 1)', async (t) => {
  const compute = { vmId: '02aab8a4-74ef-476e-8182-f6d2ba4166a6', location: 'westus', zone: '2' };
  const files = (userData: string) => ({
    '/metadata/instance/compute/userData?format=text': userData,
    '/metadata/instance/compute?format=json': JSON.stringify(compute),
  });
  const encoded = Buffer.from(USER_DATA).toString('base64');
  const service = await fakeService(t, azure(files(encoded)));
  assert.deepEqual(await discover(t, DMI.azure, { azure: service.url }), {
    identity: WHOLE,
    source: 'azure',
    cloud: { provider: 'azure', instance: compute.vmId, zone: 'westus-2' },
  });
  // A machine without user data has an empty string there.
  const none = await fakeService(t, azure(files('')));
  await assert.rejects(discover(t, DMI.azure, { azure: none.url }), { code: 'IDENTITY_MISSING' });
  const broken = await fakeService(t, azure(files('{"coordinator"')));
  await assert.rejects(discover(t, DMI.azure, { azure: broken.url }), {
    code: 'METADATA_FAILED',
    message: /no base64/,
  });
  // "410 Gone: retry after some time", of the table of errors.
  const gone = await fakeService(t, () => ({ status: 410, body: '' }));
  await assert.rejects(discover(t, DMI.azure, { azure: gone.url }), { message: /answered 410/ });
});

/** Nova user guide, "Metadata - OpenStack format": the example, shortened. */
const META_DATA = JSON.stringify({
  random_seed: 'yu5ZnkqF2CqnDZVAfZgarG...',
  availability_zone: 'nova',
  keys: [{ data: 'ssh-rsa AAAA...\n', type: 'ssh', name: 'mykey' }],
  hostname: 'test.novalocal',
  meta: { priority: 'low', role: 'webserver' },
  project_id: 'f7ac731cc11f40efbc03a9f9e1d1d21f',
  uuid: 'd8e02d56-2648-49a3-bf97-6be8f1204f38',
  name: 'test',
});
const OPENSTACK = {
  provider: 'openstack',
  instance: 'd8e02d56-2648-49a3-bf97-6be8f1204f38',
  zone: 'nova',
};

test('OpenStack: user data, else what the cloud adds as vendor data under the key billet', async (t) => {
  const service = await fakeService(
    t,
    openstack({ 'meta_data.json': META_DATA, user_data: USER_DATA }),
  );
  assert.deepEqual(await discover(t, DMI.openstack, { openstack: service.url }), {
    identity: WHOLE,
    source: 'openstack',
    cloud: OPENSTACK,
  });
  for (const name of ['vendor_data.json', 'vendor_data2.json']) {
    const files = {
      'meta_data.json': META_DATA,
      // "#!/bin/sh" is for cloud-init.
      user_data: '#!/bin/bash\necho hello\n',
      [name]: JSON.stringify({ static: {}, billet: WHOLE }),
    };
    const vendor = await fakeService(t, openstack(files));
    assert.deepEqual((await discover(t, DMI.openstack, { openstack: vendor.url })).identity, WHOLE);
  }
  const none = await fakeService(t, openstack({ user_data: USER_DATA }));
  await assert.rejects(discover(t, DMI.openstack, { openstack: none.url }), {
    code: 'IDENTITY_MISSING',
  });
});
