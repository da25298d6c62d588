// Provisioning over the wire, with the provider that records: a coordinator that is restarted finds
// its machines again, and an instance ends on both sides.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { silentLog } from '../../coordinator/log.ts';
import { startCoordinator } from '../../coordinator/main.ts';
import { routes } from '../../shared/routes/table.ts';
import { type InstanceId, NodeName } from '../../shared/schema/ids.ts';
import type { Instance } from '../../shared/schema/records.ts';
import {
  bodyOf,
  csrOf,
  FACTS,
  type Fixture,
  heartbeatOf,
  newKey,
  startFixture,
} from '../coordinator/coordinator-fixture.ts';

const providers = { 'local-qemu': { mode: 'recorder', machinesMax: 60 } } as const;
let fixture: Fixture;
before(async () => {
  fixture = await startFixture({ providers });
});
after(() => fixture.close());

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** A boot image of two small files, as the registry has it on disk. */
async function bootImage() {
  const blobs = join(fixture.stateDir, 'registry/repositories/boot/blobs/sha256');
  await mkdir(blobs, { recursive: true });
  for (const text of ['kernel', 'initramfs'])
    await writeFile(join(blobs, digestOf(text).slice('sha256:'.length)), text);
  const [kernel, initramfs] = ['kernel', 'initramfs'].map(digestOf);
  const rest = { manifest: digestOf('manifest'), kernelRelease: '6.12.0', commandLine: 'quiet' };
  return { repository: 'boot', kernel, initramfs, ...rest };
}

async function node(name: string, spec: object = {}): Promise<NodeName> {
  const body = { name: NodeName.parse(name), spec: { bootImage: await bootImage(), ...spec } };
  await fixture.admin.call(routes.createNode, { body: body as never });
  return body.name;
}

const provision = async (nodes: readonly NodeName[], more: object = {}) =>
  bodyOf(
    await fixture.admin.call(routes.provisionInstances, {
      body: { nodes: [...nodes], provider: 'local-qemu', ...more },
    }),
  ).items;

async function until(id: InstanceId, isSo: (instance: Instance) => boolean): Promise<Instance> {
  for (let tries = 0; tries < 200; tries += 1) {
    const now = bodyOf(await fixture.admin.call(routes.getInstance, { params: { id } }));
    if (isSo(now)) return now;
    await delay(25);
  }
  assert.fail('never so');
}

const machineDir = ({ machine }: Instance) =>
  join(fixture.stateDir, 'qemu', machine?.operation ?? assert.fail('no machine'));

test('a machine is recorded with its identity, its token lets it in, and its end leaves nothing', async () => {
  const [made] = await provision([await node('web-1')]);
  const id = made?.instance ?? assert.fail(JSON.stringify(made));
  const running = await until(id, ({ machine }) => machine?.state === 'running');
  assert.deepEqual([running.state, running.provider], ['provisioning', 'local-qemu']);
  const dir = machineDir(running);
  const line = JSON.parse(await readFile(join(dir, 'machine.json'), 'utf8'));
  assert.equal(line[0], 'qemu-system-x86_64');
  assert.ok(
    line.includes(`name=opt/billet/token,file=${join(dir, 'identity/token')}`),
    String(line),
  );
  assert.equal(await readFile(join(dir, 'kernel'), 'utf8'), 'kernel');
  const token = await readFile(join(dir, 'identity/token'), 'utf8');
  assert.ok(!JSON.stringify(line).includes(token), 'no secret on the command line');

  const key = newKey();
  const enrolling = { instance: id, token, csr: csrOf(key, id), facts: FACTS };
  const { certificate } = bodyOf(
    await fixture.client().client.call(routes.enroll, { body: enrolling }),
  );
  assert.equal((await until(id, ({ state }) => state !== 'provisioning')).state, 'bootstrapping');
  const { client } = fixture.client({ key: key.pem, certificate });
  await client.call(routes.heartbeat, { body: heartbeatOf({ phase: 'ready', generation: 1 }) });
  assert.equal((await until(id, ({ state }) => state !== 'bootstrapping')).state, 'running');

  const end = (body: object) =>
    fixture.admin.call(routes.terminateInstance, { params: { id }, body });
  await assert.rejects(end({}), (error: { code: string; hint: string; details: object }) => {
    assert.deepEqual(
      [error.code, error.details],
      ['DRAIN_REQUIRED', { state: 'running', loses: [] }],
    );
    assert.match(error.hint, /--force/);
    return true;
  });
  await end({ force: true });
  await assert.rejects(client.call(routes.heartbeat, { body: heartbeatOf() }), {
    code: 'CERTIFICATE_REVOKED',
  });
  await until(id, ({ state }) => state === 'terminated');
  await assert.rejects(readdir(dir), { code: 'ENOENT' });
  const { instance } = bodyOf(
    await fixture.admin.call(routes.getNode, { params: { name: running.node } }),
  );
  assert.equal(instance, null, 'the node stays, and is free');
  await assert.rejects(fixture.client().client.call(routes.enroll, { body: enrolling }), {
    code: 'CERTIFICATE_REVOKED',
  });
  const kinds: string[] = [];
  const stream = await fixture.admin.open(routes.watchEvents, {
    query: { after: 0, follow: 'false', subject: `instance/${id}` },
  });
  for await (const chunk of stream.body)
    kinds.push(...(String(chunk).match(/"kind":"[^"]+"/g) ?? []));
  assert.equal(kinds.filter((kind) => kind.includes('came_back')).length, 1, 'told once');
});

test('50 in a call are made, 51 are refused as a whole; machines are found again after a restart', async () => {
  const names = await Promise.all(Array.from({ length: 51 }, (_, at) => node(`bulk-${at}`)));
  await assert.rejects(provision(names), { code: 'BULK_LIMIT', hint: /50/ });
  const items = await provision(names.slice(0, 50));
  const ids = items.map(({ instance }) => instance ?? assert.fail('none'));
  for (const id of ids) await until(id, ({ machine }) => machine?.state === 'running');
  const before = await readdir(join(fixture.stateDir, 'qemu'));
  await fixture.coordinator.stop();
  fixture.coordinator = await startCoordinator(
    {
      stateDir: fixture.stateDir,
      listen: '127.0.0.1:0',
      bootListen: null,
      stopSeconds: 1,
      providers,
    },
    { clock: fixture.clock, log: silentLog },
  );
  await delay(100);
  assert.deepEqual(await readdir(join(fixture.stateDir, 'qemu')), before);
  const listed = bodyOf(await fixture.admin.call(routes.listProviders, {})).items;
  assert.deepEqual(
    listed.map(({ name, mode, machines }) => [name, mode, machines]),
    [
      ['manual', 'real', 0],
      ['local-qemu', 'recorder', 50],
      ['libvirt', 'disabled', 0],
    ],
  );
  await assert.rejects(provision(names.slice(50), { provider: 'libvirt' }), {
    code: 'PROVIDER_DISABLED',
    hint: /providers\.libvirt\.mode/,
  });
  const left = await fixture.admin.call(routes.listLeftovers, {});
  assert.deepEqual(bodyOf(left).items, []);
});
