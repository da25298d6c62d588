import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeName, ResourceName } from '#shared/schema/ids.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { deleteNode, putNodeSpec } from '../nodes/node-writes.ts';
import { requireBootImage } from './netboot-image.ts';
import {
  ANN,
  BOB,
  bootImage,
  digestOf,
  moduleRef,
  type TestCatalog,
  testCatalog,
  withEdge,
} from './testing.ts';
import { deleteResource } from './writes.ts';

const name = (text: string) => ResourceName.parse(text);

/** Runs `work` on a fresh catalogue with a template. */
const on = (what: string, work: (catalog: TestCatalog) => Promise<void>) =>
  test(what, async () => {
    const catalog = testCatalog({ missing: digestOf('f') });
    try {
      await withEdge(catalog);
      await work(catalog);
    } finally {
      await catalog.close();
    }
  });

on(
  'the same request again returns the record that is there; another spec is refused',
  async (c) => {
    const spec = { provider: 'local-qemu' };
    const first = await c.create('region', 'here', spec);
    const again = await c.create('region', 'here', spec, BOB);
    assert.equal(again.revision, first.revision);
    await assert.rejects(c.create('region', 'here', { provider: 'libvirt' }), {
      code: 'CONFLICT',
      message: /region here exists/,
      hint: /billet region show here/,
    });
    const events = await c.events();
    assert.equal(events.filter((kind) => kind === 'region.created').length, 1);
  },
);

on('two operators at one record: the second is told, and nothing is lost', async (c) => {
  const read = await c.create('region', 'here', { provider: 'manual' });
  await c.put('region', 'here', { provider: 'manual', zone: 'ann' }, read.revision);
  await assert.rejects(
    c.put('region', 'here', { provider: 'manual', zone: 'bob' }, read.revision),
    {
      code: 'CONFLICT',
      hint: /read it again/,
    },
  );
  assert.equal((await c.records.catalog.region.get('here'))?.record.spec.zone, 'ann');
  // A change whose answer got lost may be sent again.
  const again = await c.put('region', 'here', { provider: 'manual', zone: 'ann' }, read.revision);
  assert.equal(again.record.spec.zone, 'ann');
});

on('a record that names what does not exist is refused, and nothing is written', async (c) => {
  const before = (await c.records.store.get('x')).revision;
  const missing = { code: 'REFERENCE_INVALID', message: /names the .+ nowhere: there is none/ };
  await assert.rejects(c.create('platform', 'p', { architecture: 'nowhere' }), missing);
  await assert.rejects(c.create('pool', 'p', { class: 'nowhere' }), missing);
  await assert.rejects(c.put('template', 'edge', { platform: 'nowhere' }), missing);
  await assert.rejects(c.node('web-1', { template: 'nowhere' }), missing);
  assert.equal((await c.records.store.get('x')).revision, before);
});

on('a region and an instance type of two providers do not go together', async (c) => {
  await c.create('region', 'here', { provider: 'libvirt' });
  const shape = { provider: 'local-qemu', architecture: 'amd64', shape: {} };
  await c.create('instance-type', 'small', shape);
  await assert.rejects(c.node('web-1', { region: 'here', instanceType: 'small' }), {
    code: 'REFERENCE_INVALID',
    hint: /of one provider/,
  });
});

on('a template pins a publication of its own platform only', async (c) => {
  await c.create('platform', 'other', { architecture: 'amd64' });
  await assert.rejects(c.create('template', 't', { platform: 'other', publication: 'debian-1' }), {
    code: 'REFERENCE_INVALID',
    message: /debian-1 of the platform debian/,
  });
});

on('what is in use is not deleted, and its users are named', async (c) => {
  await c.create('class', 'worker', { template: 'edge' });
  await c.node('web-1', { template: 'edge' });
  const remove = (kind: Parameters<typeof deleteResource>[2], text: string) =>
    deleteResource(c.records, ANN, kind, name(text));
  await assert.rejects(remove('template', 'edge'), {
    code: 'IN_USE',
    message: 'the template edge is used by class/worker, node/web-1',
  });
  await assert.rejects(remove('architecture', 'amd64'), {
    code: 'IN_USE',
    message: /platform\/debian/,
  });
  await assert.rejects(remove('publication', 'debian-1'), {
    code: 'IN_USE',
    message: /platform\/debian/,
    hint: /billet publication retire debian-1/,
  });
  await assert.rejects(remove('pool', 'none'), { code: 'NOT_FOUND' });
  // A refused deletion leaves a record that can be named again.
  await c.node('web-2', { template: 'edge' });
  await deleteNode(c.records, ANN, NodeName.parse('web-1'));
  await deleteNode(c.records, ANN, NodeName.parse('web-2'));
  await remove('class', 'worker');
  await remove('template', 'edge');
  assert.equal(await c.records.catalog.template.get('edge'), null);
  assert.ok((await c.events()).includes('template.deleted'));
});

on(
  'a deletion that was cut short: nothing new may name the record, and either call ends it',
  async (c) => {
    const found = await c.records.catalog.template.get('edge');
    assert.ok(found);
    const marked = { ...found.record, leaving: true };
    const { condition, write } = c.records.catalog.template.put('edge', marked, found.revision);
    await c.records.store.commit([condition], [write]);
    await assert.rejects(c.node('web-1', { template: 'edge' }), {
      code: 'REFERENCE_INVALID',
      message: /being deleted/,
      hint: /billet template delete edge/,
    });
    // Applied again it stays …
    await c.create('template', 'edge', found.record.spec);
    await c.node('web-1', { template: 'edge' });
    await deleteNode(c.records, ANN, NodeName.parse('web-1'));
    // … and deleted again it goes.
    await deleteResource(c.records, ANN, 'template', name('edge'));
  },
);

on('a publication is published only when the registry has all of it', async (c) => {
  const spec = { platform: 'debian', boot: bootImage('f') };
  await c.create('publication', 'debian-2', spec);
  await assert.rejects(c.put('publication', 'debian-2', { ...spec, status: 'published' }), {
    code: 'NETBOOT_IMAGE_MISSING',
    hint: /billet image push/,
  });
  assert.equal((await c.records.catalog.platform.get('debian'))?.record.current, 'debian-1');
});

on('the content of what was published stays; the newest published one is current', async (c) => {
  const second = { platform: 'debian', boot: bootImage('b'), status: 'published' };
  await c.create('publication', 'debian-2', second);
  const current = async () => (await c.records.catalog.platform.get('debian'))?.record.current;
  assert.equal(await current(), 'debian-2');
  await assert.rejects(c.put('publication', 'debian-2', { ...second, boot: bootImage('c') }), {
    code: 'CONFLICT',
    hint: /under another name/,
  });
  await c.put('publication', 'debian-2', { ...second, status: 'retired' });
  assert.equal(await current(), 'debian-1');
  await c.put('publication', 'debian-1', {
    platform: 'debian',
    boot: bootImage(),
    status: 'retired',
  });
  assert.equal(await current(), null);
  await c.put('publication', 'debian-2', second);
  assert.equal(await current(), 'debian-2');
});

on('provisioning without a published image names the command that publishes one', async (c) => {
  const missing = async (node: string, hint: RegExp) => {
    const { record } = (await c.records.nodes.get(node)) ?? (await c.node(node));
    await assert.rejects(requireBootImage(c.records, record), {
      code: 'NETBOOT_IMAGE_MISSING',
      hint,
    });
  };
  await missing('bare', /billet node set bare --boot-image/);
  await c.create('platform', 'new', { architecture: 'amd64' });
  await c.create('template', 'new', { platform: 'new' });
  await c.node('fresh', { template: 'new' });
  await missing('fresh', /billet publication create NAME --platform new .+ --publish$/);
  await c.create('publication', 'new-1', { platform: 'new', boot: bootImage('d') });
  await missing('fresh', /^billet publication publish new-1$/);
  const { record } = await c.node('web-1', { template: 'edge' });
  assert.equal((await requireBootImage(c.records, record)).kernel, bootImage().kernel);
});

on(
  'a node that is made again by the same request is the same node, whatever its template is now',
  async (c) => {
    const spec = { template: 'edge', metadata: { owner: 'edge team' }, labels: { rack: 'b7' } };
    const first = await c.node('web-1', spec);
    await c.put('template', 'edge', { platform: 'debian', modules: [moduleRef('base')] });
    const again = await c.node('web-1', spec);
    assert.equal(again.revision, first.revision);
    await assert.rejects(c.node('web-1', { ...spec, labels: {} }), { code: 'CONFLICT' });
  },
);

on(
  'the lifecycle class is fixed by the first instance, and a changed class does not move it',
  async (c) => {
    await c.create('class', 'batch', { lifecycleClass: 'ephemeral', template: 'edge' });
    const { record, revision } = await c.node('job-1', { class: 'batch' });
    assert.equal(record.derived.lifecycleClass, 'ephemeral');
    const { condition, write } = c.records.nodes.put('job-1', { ...record, lives: 1 }, revision);
    await c.records.store.commit([condition], [write]);
    const put = (spec: object) =>
      putNodeSpec(c.records, ANN, { name: record.name, spec: NodeSpec.parse(spec), ifMatch: null });
    await assert.rejects(put({ class: 'batch', lifecycleClass: 'spot' }), { code: 'CLASS_FIXED' });
    const moved = await put({ template: 'edge' });
    assert.equal(moved.record.derived.lifecycleClass, 'ephemeral');
  },
);
